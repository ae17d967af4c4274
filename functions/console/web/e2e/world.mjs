// A browser on a running local system: who signs in, and what the browser complains of.
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

export const base = process.env.BASE_URL ?? 'http://127.0.0.1:8080'

const browserPath = () => [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((one) => one && existsSync(one))

export async function launch() {
  const executablePath = browserPath()
  if (!executablePath) throw new Error('there is no Chromium: apt-get install chromium, or name one in CHROMIUM')
  return chromium.launch({
    executablePath, headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--lang=en-US'],
  })
}

/** open is one person's window. Its errors are collected; what a step expects is forgiven by it. */
export async function open(browser, { width = 1280, height = 860, scheme = 'light' } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, locale: 'en-US', reducedMotion: 'reduce' })
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  const page = await context.newPage()
  page.setDefaultTimeout(Number(process.env.PATIENCE ?? 60_000))
  const troubles = []
  page.on('pageerror', (error) => troubles.push(String(error)))
  page.on('console', (message) => { if (message.type() === 'error') troubles.push(message.text()) })
  return { context, page, troubles, forgive: (pattern) => { for (let i = troubles.length - 1; i >= 0; i--) if (pattern.test(troubles[i])) troubles.splice(i, 1) } }
}

export async function signIn(page, role = 'admin', tenant = 'Northside Fitness') {
  await page.goto(`${base}/console/`)
  await page.getByRole('button', { name: new RegExp(`${tenant}: ${role}`) }).first().click()
  await page.getByRole('heading', { level: 1, name: /Good (morning|afternoon|evening)/ }).waitFor()
}

export async function go(page, path, heading) {
  await page.goto(`${base}/console${path}`)
  await page.getByRole('heading', { level: 1, name: heading }).waitFor()
  await settled(page)
}

/** settled waits until nothing of the view is loading any more. */
export const settled = (page) => page.waitForFunction(() => !document.querySelector('.loading'))

export function check(ok, what) {
  if (!ok) throw new Error(what)
}
