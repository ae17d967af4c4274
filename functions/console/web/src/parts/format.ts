// Numbers, money and times as people read them: one way everywhere, the same in which reasons are written.
const locale = 'en-US'
const made = new Map<string, Intl.NumberFormat>()

function format(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const name = JSON.stringify(options)
  const known = made.get(name) ?? new Intl.NumberFormat(locale, options)
  made.set(name, known)
  return known
}

export const missing = '–'
type Maybe = number | null | undefined

/** money is an amount with its currency's own decimals, or in whole units where it says so: "1,234.50 USD", as reasons write it. */
export function money(amount: Maybe, currency: string | undefined, whole = false): string {
  if (amount == null) return missing
  const places = whole || !currency ? 0 : decimals(currency)
  return `${format({ minimumFractionDigits: places, maximumFractionDigits: places }).format(amount)} ${currency ?? ''}`.trim()
}

/** signed is money with its sign: what is gained or lost. */
export const signed = (amount: number, currency: string | undefined) =>
  `${amount > 0 ? '+' : amount < 0 ? '−' : ''}${money(Math.abs(amount), currency)}`

/** decimals of a currency: JPY has none. */
export function decimals(currency: string): number {
  let known = inCurrency.get(currency)
  if (known === undefined) inCurrency.set(currency, known = decimalsOf(currency))
  return known
}

const inCurrency = new Map<string, number>()

function decimalsOf(currency: string): number {
  try {
    return format({ style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2
  } catch {
    return 2
  }
}

export const number = (n: Maybe) => (n == null ? missing : format({}).format(n))
const fixed = (n: number, places: number) => format({ minimumFractionDigits: places, maximumFractionDigits: places }).format(n)
export const times = (n: Maybe) => (n == null ? missing : `${fixed(n, 2)}×`)
/** share is a rate from 0 to 1 as a percent. */
export const share = (rate: Maybe, places = 0) => (rate == null ? missing : `${fixed(rate * 100, places)}%`)

/** change is a percent with its sign. */
export function change(percent: number): string {
  if (Number(percent.toFixed(1)) === 0) return '0.0%'
  return `${percent > 0 ? '+' : '−'}${fixed(Math.abs(percent), 1)}%`
}

const moment = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short', hourCycle: 'h23' })
const date = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeZone: 'UTC' })
export const time = (text: string | undefined) => (text ? moment.format(new Date(text)) : missing)
/** day is a calendar day (2026-11-22), the same wherever it is read. */
export const day = (text: string | undefined) => (text ? date.format(new Date(`${text}T00:00:00Z`)) : missing)

/** ago is a past time as people say it. */
export function ago(text: string, now = Date.now()): string {
  const minutes = Math.round((now - Date.parse(text)) / 60_000)
  if (minutes < 1) return 'just now'
  if (minutes < 60) return `${plural(minutes, 'minute')} ago`
  if (minutes < 48 * 60) return `${plural(Math.round(minutes / 60), 'hour')} ago`
  return `${plural(Math.round(minutes / 1440), 'day')} ago`
}

/** words turns SOME_NAME or some_name into Some name. */
export function words(name: string): string {
  const text = name.replaceAll('_', ' ').trim()
  return sentence(text === text.toUpperCase() ? text.toLowerCase() : text)
}
export const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)
export const plural = (n: number, one: string, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`

export const ctr = (of: { impressions: number; clicks: number }) => (of.impressions > 0 ? of.clicks / of.impressions : null)
/** roas is pipeline value over spend; without spend there is none. */
export const roas = (of: { spend: number; pipeline_value: number }) => (of.spend > 0 ? of.pipeline_value / of.spend : null)
export const ageHours = (of: { created_at: string }) => Math.max(0, (Date.now() - Date.parse(of.created_at)) / 3_600_000)
