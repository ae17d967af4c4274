// Ten steps of a buyer's morning.
import { check, go, settled, signIn } from './world.mjs'

export const smoke = [
  ['signs in by a click and sees the home page in at most 8 requests', async ({ page }) => {
    await page.goto((await import('./world.mjs')).base + '/console/')
    await page.getByRole('button', { name: /Northside Fitness: admin/ }).click()
    await page.getByRole('heading', { level: 1 }).filter({ hasText: 'Good' }).waitFor()
    await settled(page)
    const seen = []
    page.on('request', (request) => seen.push(request.url()))
    await page.reload()
    await settled(page)
    await page.getByRole('heading', { name: 'What waits' }).waitFor()
    await page.waitForLoadState('networkidle')
    check(seen.length <= 8, `the first view asks ${seen.length} times: ${seen.join(', ')}`)
  }],
  ['finds a campaign and its ads', async ({ page }) => {
    await page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name: 'Campaigns' }).click()
    await page.getByRole('heading', { level: 1, name: 'Campaigns' }).waitFor()
    await page.getByRole('table', { name: 'Campaigns' }).getByRole('link').first().click()
    await page.getByRole('table', { name: 'Ads' }).getByRole('link').first().waitFor()
  }],
  ['opens an ad: its days, its deals and why', async ({ page }) => {
    await page.getByRole('table', { name: 'Ads' }).getByRole('link').first().click()
    await page.getByRole('heading', { name: 'Why this differs from Meta' }).waitFor()
    await page.getByRole('img', { name: /Spend, pipeline and won value/ }).waitFor()
  }],
  ['splits a budget', async ({ page }) => {
    await go(page, '/budget', 'Budget')
    await page.getByRole('button', { name: 'Optimize budget' }).click()
    await page.getByRole('table', { name: 'Recommended budgets' }).waitFor()
  }],
  ['sees the total effect and applies it', async ({ page }) => {
    await page.getByRole('button', { name: 'Apply all …' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('Likely pipeline').waitFor()
    await dialog.getByRole('button', { name: 'Apply', exact: true }).click()
    await page.getByText(/ads? of \d+ queued/).waitFor()
  }],
  ['looks for tired ads and reads the queue', async ({ page }) => {
    await go(page, '/changes', 'Changes')
    await page.getByRole('button', { name: 'Look for tired ads' }).click()
    await page.getByText(/active ads? looked at/).waitFor()
  }],
  ['is told that 9100.005 is no amount, and saves a stage', async ({ page }) => {
    await go(page, '/pipeline', 'Pipeline')
    await page.getByRole('button', { name: 'Edit Show up' }).click()
    const value = page.getByRole('textbox', { name: /Value, USD/ })
    await value.fill('9100.005')
    await page.getByText('At most 2 decimals').waitFor()
    await value.fill('9100.50')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.getByText(/^Saved\./).waitFor()
    check(await page.getByText('9,100.50 USD').count() > 0, 'the new value is not shown')
  }],
  ['finds winners by words', async ({ page }) => {
    await go(page, '/winners', 'Winners')
    await page.getByRole('button', { name: 'a question as the hook, fast cuts' }).click()
    await page.getByText(/winners? of \d+|No winners yet|Nothing is that similar/).first().waitFor()
  }],
  ['judges an idea', async ({ page }) => {
    await go(page, '/creative', 'Creative')
    await page.getByRole('button', { name: 'Judge it' }).click()
    await page.getByText(/PROCEED|REJECT|Proceed|Reject/).first().waitFor()
  }],
  ['stops all writes and lets them go on', async ({ page }) => {
    await page.getByRole('button', { name: 'Stop all writes' }).click()
    await page.getByText('All writes to the ad platforms are stopped.').waitFor()
    await page.getByRole('button', { name: 'Let writes go on' }).first().click()
    await page.getByRole('dialog').getByRole('button', { name: 'Let writes go on' }).click()
    await page.getByRole('button', { name: 'Stop all writes' }).waitFor()
  }],
]

export async function runSmoke(window) {
  let step = 0
  for (const [name, run] of smoke) {
    step++
    try {
      await run(window)
    } catch (error) {
      throw new Error(`step ${step}, ${name}: ${error.message}`)
    }
    console.log(`ok ${step} ${name}`)
  }
  check(window.troubles.length === 0, `the browser complains: ${window.troubles.join('\n')}`)
}
export { signIn }
