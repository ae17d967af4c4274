// A creative's DNA as a form: what the model understands has a field, anything else is written as JSON.
import { useState } from 'react'
import { flushSync } from 'react-dom'
import { drafts, useUnsaved } from '../../parts/address'
import { Field, Notice } from '../../parts/basic'
import { words } from '../../parts/format'

const choices: Record<string, string[]> = {
  hook_type: ['question', 'testimonial', 'problem', 'statistic', 'before_after', 'demonstration', 'offer', 'story'],
  visual_pacing: ['slow', 'medium', 'fast'],
  cta_type: ['learn_more', 'sign_up', 'book_now', 'shop_now', 'get_offer', 'contact_us', 'download'],
}
const shares = ['hook_strength']
const flags = ['captions', 'has_face']
const known = new Set([...Object.keys(choices), ...shares, ...flags])

export type Values = Record<string, unknown>
const example: Values = { hook_type: 'question', hook_strength: 0.8, visual_pacing: 'fast', cta_type: 'learn_more', captions: true }

function parse(text: string): { value: Values; wrong?: string } {
  if (text.trim() === '') return { value: {} }
  try {
    const value: unknown = JSON.parse(text)
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return { value: {}, wrong: 'Write it in braces, with quoted names.' }
    return { value: value as Values }
  } catch {
    return { value: {}, wrong: 'This is not JSON: write it in braces with quoted names, such as {"music": "calm"}.' }
  }
}

/** useDna holds a DNA while it is edited; a draft of it survives a reload. */
export function useDna(name: string, start: Values = example) {
  const [values, setValues] = useState<Values>(() => { const kept = drafts.get(name); return kept ? parse(kept).value : start })
  const [more, setMore] = useState(() => { const rest = Object.fromEntries(Object.entries(values).filter(([key]) => !known.has(key))); return Object.keys(rest).length > 0 ? JSON.stringify(rest, null, 2) : '' })
  const [dirty, setDirty] = useState(false)
  const rest = parse(more)
  useUnsaved(dirty)
  const read = () => ({ ...Object.fromEntries(Object.entries(values).filter(([key, value]) => known.has(key) && value !== '' && value !== undefined)), ...rest.value })
  const store = (next: Values, text: string) => { setDirty(true); drafts.set(name, JSON.stringify({ ...next, ...parse(text).value })) }
  return {
    values, more, wrong: rest.wrong, read,
    set: (key: string, value: unknown) => { const next = { ...values, [key]: value }; setValues(next); store(next, more) },
    setMore: (text: string) => { setMore(text); store(values, text) },
    // At once, for the caller goes elsewhere next, and nothing is left to be asked about.
    forget: () => { flushSync(() => setDirty(false)); drafts.drop(name) },
  }
}

export function DnaForm({ of }: { of: ReturnType<typeof useDna> }) {
  return (
    <fieldset className="stack">
      <legend>Creative DNA</legend>
      <div className="grid">
        {Object.entries(choices).map(([key, options]) => (
          <Field key={key} label={words(key)}>
            <select value={String(of.values[key] ?? '')} onChange={(event) => of.set(key, event.target.value)}>
              <option value="">not said</option>
              {[...new Set([...options, ...(of.values[key] ? [String(of.values[key])] : [])])].map((one) => <option key={one} value={one}>{words(one)}</option>)}
            </select>
          </Field>
        ))}
        {shares.map((key) => (
          <Field key={key} label={`${words(key)}, 0 to 1`}><input type="number" min="0" max="1" step="0.01" value={String(of.values[key] ?? '')} onChange={(event) => of.set(key, event.target.value === '' ? undefined : Number(event.target.value))} /></Field>
        ))}
        {flags.map((key) => <label key={key} className="check"><input type="checkbox" checked={Boolean(of.values[key])} onChange={(event) => of.set(key, event.target.checked)} />{words(key)}</label>)}
      </div>
      <details open={of.wrong !== undefined}>
        <summary>More, as JSON</summary>
        <Field label="Other properties" error={of.wrong}><textarea value={of.more} maxLength={32768} spellCheck={false} aria-invalid={of.wrong !== undefined} onChange={(event) => of.setMore(event.target.value)} /></Field>
        {!of.wrong && <Notice>Properties that the model does not know are kept with the plan and decide nothing.</Notice>}
      </details>
    </fieldset>
  )
}
