// How an account is linked without a scan, and unlinked.

(() => {
  /** The code to type on the phone that has this number; null when no phone is waited for. @param {string} number */
  async function linkCode(number) {
    if (window.drumline.session()?.mode !== 'QR') return null;
    return (await window.WPP?.conn.startLinkDeviceCodeForPhoneNumber(number)) ?? null;
  }

  /** Unlink the phone. */
  async function logOut() {
    return window.drumline.session()?.mode === 'MAIN' ? ((await window.WPP?.conn.logout()) ?? null) : null;
  }

  Object.assign(window.drumline, { linkCode, logOut });
})();
