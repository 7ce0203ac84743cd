// The page's start: the real wa-js bundle may have put itself in place before; here the sandbox takes over.

import { Companion } from './companion.js';
import { moduleLoader, surface } from './wpp.js';
import { View } from './view.js';

const companion = await Companion.open();
Object.assign(window, { WPP: surface(companion), require: moduleLoader(companion) });
new View(companion).mount();
await companion.run();
