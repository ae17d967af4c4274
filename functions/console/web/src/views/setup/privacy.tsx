// What is held of one contact, and for how long anything personal is.
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { read, useGet } from '../../api/query'
import { Facts, Field, Go, Load, Sheet } from '../../parts/basic'

export function PrivacyPage() {
  const accounts = useGet('/api/accounts')
  const [id, setId] = useState('')
  const ask = useMutation<unknown, Error>({ mutationFn: () => read(`/api/privacy/contacts/${encodeURIComponent(id.trim())}` as '/api/accounts') })
  const save = () => {
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob([JSON.stringify(ask.data, null, 2)], { type: 'application/json' }))
    link.download = `contact-${id.trim()}.json`
    link.click()
    URL.revokeObjectURL(link.href)
  }
  return (
    <>
      <Sheet title="What is held of a contact">
        <form className="row" onSubmit={(event) => { event.preventDefault(); ask.mutate() }}>
          <Field label="The contact’s id in the CRM"><input value={id} onChange={(event) => { setId(event.target.value); ask.reset() }} required maxLength={128} /></Field>
          <Go label="Show it" submit primary busy={ask.isPending} error={ask.error} />
        </form>
        {ask.data !== undefined && <div className="stack" role="status"><pre tabIndex={0}>{JSON.stringify(ask.data, null, 2)}</pre><button type="button" onClick={save}>Save it as a file</button></div>}
        <p className="small soft">To erase a contact, use “Delete permanently (GDPR)” in HubSpot: what is held here goes with it, and older messages cannot bring it back.</p>
      </Sheet>
      <Sheet title="How long it is kept">
        <Facts of={[['Address, browser and fingerprint of a click', '8 days'], ['E-mail and phone of a lead, as keyed hashes', 'until matched, at most 90 days']]} />
        <Load of={accounts} what="accounts">{({ accounts: all }) => <Facts of={all.map((one) => [`Unmatched clicks, ${one.name || one.account_id}`, `${one.click_retention_days} days; change it under Ad accounts`])} />}</Load>
      </Sheet>
    </>
  )
}
