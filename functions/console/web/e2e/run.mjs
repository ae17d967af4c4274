// npm run smoke | npm test | npm run shots: drives the console of a running local system (BASE_URL), or of one that it starts.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const what = process.argv[2] ?? 'all'
const root = fileURLToPath(new URL('../../../../', import.meta.url))

async function start() {
  if (process.env.BASE_URL) return { stop: async () => undefined }
  const dir = mkdtempSync(join(tmpdir(), 'geminivideo-console-'))
  const system = spawn('go', ['run', './infra/local', '-addr', '127.0.0.1:0', '-data', dir], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  process.env.BASE_URL = await new Promise((resolve, reject) => {
    system.stdout.on('data', (text) => { const found = /ready (\S+)/.exec(String(text)); if (found) resolve(found[1]) })
    system.on('exit', (code) => reject(new Error(`the local system ended with ${code}`)))
  })
  return {
    stop: () => new Promise((resolve) => {
      system.removeAllListeners('exit')
      system.on('exit', () => { rmSync(dir, { recursive: true, force: true }); resolve() })
      process.kill(-system.pid, 'SIGINT')
    }),
  }
}

const system = await start()
const { launch, open, signIn, go, settled } = await import('./world.mjs')
const browser = await launch()
let failed = 0
try {
  if (what === 'smoke' || (what === 'all' && !process.env.ONLY)) {
    const { runSmoke } = await import('./smoke.mjs')
    await runSmoke(await open(browser)).catch((error) => { failed++; console.error(`FAILED ${error.message}`) })
  }
  if (what === 'all') {
    const { deep } = await import('./deep.mjs')
    const { access } = await import('./access.mjs')
    const { flows } = await import('./flows.mjs')
    const { live } = await import('./live.mjs')
    for (const [name, run] of [...deep, ...access, ...flows, ...live].filter(([one]) => !process.env.ONLY || one.includes(process.env.ONLY))) {
      await run(browser).then(() => console.log(`ok ${name}`), (error) => { failed++; console.error(`FAILED ${name}: ${error.message}`) })
    }
  }
  if (what === 'shots') {
    const { views } = await import('./views.mjs')
    // The README's pictures; ONLY names others, as phone-home or dark-learning.
    const wanted = (process.env.ONLY ?? 'home,budget,changes,winners,pipeline,learning').split(',')
    const folder = process.env.SHOTS ?? join(root, '.docs')
    mkdirSync(folder, { recursive: true })
    for (const [look, size] of [['', {}], ['dark-', { scheme: 'dark' }], ['phone-', { width: 390, height: 800 }]]) {
      const { page, context } = await open(browser, size)
      await signIn(page)
      for (const [name, path, heading] of views) {
        if (!wanted.includes(look + name)) continue
        await go(page, path, heading)
        if (name === 'budget') {
          await page.getByRole('button', { name: 'Optimize budget' }).click()
          await page.getByRole('table', { name: 'Recommended budgets' }).waitFor()
        }
        if (name === 'learning') {
          await page.getByRole('button', { name: 'Run learning cycle' }).click()
          await page.getByRole('table', { name: 'Cycles' }).waitFor()
        }
        if (name === 'winners') {
          await page.getByRole('button', { name: 'a question as the hook, fast cuts' }).click()
          await page.locator('.match, .empty').first().waitFor()
        }
        await settled(page)
        await page.screenshot({ path: join(folder, `console-${look}${name}.png`), fullPage: process.env.WHOLE === '1' })
      }
      await context.close()
    }
  }
} finally {
  await browser.close()
  await system.stop()
}
process.exit(failed > 0 ? 1 : 0)
