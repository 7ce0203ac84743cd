"""An emulated WhatsApp on this machine: phones, server, ledger of the wire, and the page that stands for WhatsApp Web."""
