// Numbers and times as people read them, in the browser's own language.

/** money is an amount with its currency's own decimals, or in whole units where it says so. */
export function money(amount, currency, whole = false) {
  if (amount == null) return '–';
  try {
    return new Intl.NumberFormat(undefined, { style: 'currency', currency, ...(whole && { maximumFractionDigits: 0 }) }).format(amount);
  } catch {
    return `${number(amount)} ${currency ?? ''}`.trim(); // a currency that the browser does not know
  }
}

export const number = (n) => (n == null ? '–' : new Intl.NumberFormat().format(n));
export const times = (n) => (n == null ? '–' : `${fixed(n, 2)}×`);

/** share is a rate from 0 to 1 as a percent. */
export const share = (rate, decimals = 0) => (rate == null ? '–' : `${fixed(rate * 100, decimals)}%`);

/** change is a percent with its sign. */
export function change(percent) {
  const text = fixed(Math.abs(percent), 1);
  if (Number(percent.toFixed(1)) === 0) return '0.0%';
  return `${percent > 0 ? '+' : '−'}${text}%`;
}

function fixed(n, decimals) {
  return new Intl.NumberFormat(undefined, { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(n);
}

export const time = (text) => new Date(text).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** words turns SOME_NAME or some_name into Some name. */
export function words(name) {
  const text = String(name).replaceAll('_', ' ').trim();
  return text === text.toUpperCase() ? capital(text.toLowerCase()) : capital(text);
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

export const ctr = (of) => (of.impressions > 0 ? of.clicks / of.impressions : null);

/** roas is pipeline value over spend; without spend there is none. */
export const roas = (of) => (of.spend > 0 ? of.pipeline_value / of.spend : null);
