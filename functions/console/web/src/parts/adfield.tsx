// A field that takes an ad by its name: it offers the ads that have the text, and gives the id of the one that is chosen.
import { useId, useState } from 'react'
import { previous, useGet } from '../api/query'
import { useAdNames } from '../api/ads'
import { Field } from './basic'

export function AdField({ label, id, choose, required }: { label: string; id: string; choose: (id: string) => void; required?: boolean }) {
  const list = useId()
  const [text, setText] = useState<string>()
  const name = useAdNames(id ? [id] : [])
  const offered = useGet('/api/ads', { query: { find: text ?? '', limit: 20 } }, { enabled: Boolean(text), placeholderData: previous }).data?.ads ?? []
  // Two ads of one name are told apart by their ids.
  const called = (ad: { id: string; name: string }) => (ad.name === ad.id || offered.filter((one) => one.name === ad.name).length < 2 ? ad.name : `${ad.name} (${ad.id})`)
  const type = (next: string) => {
    setText(next)
    choose(offered.find((ad) => called(ad) === next || ad.id === next)?.id ?? next.trim())
  }
  return (
    <Field label={label} broad>
      <input type="search" list={list} required={required} maxLength={256} autoComplete="off" value={text ?? (id && name(id))} onChange={(event) => type(event.target.value)} />
      <datalist id={list}>{offered.map((ad) => <option key={ad.id} value={called(ad)}>{ad.campaign_name}</option>)}</datalist>
    </Field>
  )
}
