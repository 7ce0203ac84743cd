"""An emulated WhatsApp on this machine: phones, server, the ledger of the wire, and a page like WhatsApp Web."""
