"""WhatsApp Web driven in a real Chromium: Playwright, the wa-js bundle and one thin bridge."""
