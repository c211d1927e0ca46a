// Draws what scripts/oracle/dashboard.py printed. usage: node shot.mjs DATA.json OUT.png
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { chromium } from 'playwright-core';

const [data, out] = process.argv.slice(2);
const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

const server = http.createServer((request, answer) => {
  const asked = new URL(request.url, 'http://x').pathname;
  if (asked === '/data.js') {
    answer.setHeader('content-type', 'text/javascript');
    return answer.end(`window.__DATA__=${fs.readFileSync(data)}`);
  }
  const image = asked.indexOf('/img/');
  const file = image < 0 ? path.join('dist', asked === '/' ? 'index.html' : asked)
    : path.join('node_modules/@grafana/ui/dist/public', asked.slice(image));
  if (!fs.existsSync(file)) { answer.statusCode = 404; return answer.end(); }
  answer.setHeader('content-type', types[path.extname(file)] || 'application/octet-stream');
  answer.end(fs.readFileSync(file));
}).listen(0, '127.0.0.1');
await new Promise((listening) => server.once('listening', listening));

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--disable-gpu',
  '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
const errors = [];
page.on('pageerror', (error) => errors.push(String(error.stack || error)));
await page.goto(`http://127.0.0.1:${server.address().port}/`);
await page.waitForFunction('window.__READY__', { timeout: 60000 });
await (await page.waitForSelector('#dashboard')).screenshot({ path: out });
await browser.close();
server.close();
if (errors.length) {
  console.error(errors.slice(0, 5).join('\n'));
  process.exit(1);
}
