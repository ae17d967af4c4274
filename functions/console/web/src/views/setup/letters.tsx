// Messages that could not be handled: why, and sent again one by one or together.
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { invalidate, previous, send, useGet, useIntent, useSend, type Answer } from '../../api/query'
import { useParam } from '../../parts/address'
import { Badge, Empty, Field, Go, Load, Notice, Sheet, said } from '../../parts/basic'
import { number, plural, time, words } from '../../parts/format'
import { Table } from '../../parts/table'

type Letter = NonNullable<Answer<'/api/dead-letters'>['dead_letters']>[number]

export function LettersPage() {
  const [all, setAll] = useParam('all')
  const [cursor, setCursor] = useParam('from')
  const list = useGet('/api/dead-letters', { query: { open: !all, limit: 100, cursor: cursor || undefined } }, { placeholderData: previous })
  return (
    <>
      <p className="lead">Messages that failed their last attempt, or that can never succeed. Once their cause is gone, send them again; a repeat takes effect once.</p>
      <label className="check"><input type="checkbox" checked={!all} onChange={(event) => { setCursor(''); setAll(event.target.checked ? '' : '1') }} />Only those that wait to be sent again</label>
      <Load of={list} what="dead letters">{(told) => ((told.dead_letters ?? []).length === 0
        ? <Sheet><Empty title={all ? 'No dead letters' : 'Nothing waits'} hint="Every message has been handled. There is nothing to do here." /></Sheet>
        : <Letters key={cursor + all} letters={told.dead_letters ?? []} />)}</Load>
      <Matching />
      <div className="row">
        {cursor && <button type="button" onClick={() => setCursor('')}>The newest</button>}
        {list.data?.next_cursor && <button type="button" onClick={() => setCursor(list.data?.next_cursor ?? '')}>Older ones</button>}
      </div>
    </>
  )
}

function Letters({ letters }: { letters: Letter[] }) {
  const [ticked, setTicked] = useState(new Set<string>())
  const intent = useIntent()
  const open = letters.filter((one) => !one.replayed_at)
  const chosen = open.filter((one) => ticked.has(one.id))
  const replay = useMutation<{ sent: number; failed: string[] }, Error>({
    mutationFn: async () => {
      const failed: string[] = []
      for (const one of chosen) {
        try {
          await send('post', '/api/dead-letters/{id}/replay', { params: { path: { id: one.id } } }, intent.key(one.id))
          intent.over(one.id)
        } catch (error) {
          intent.over(one.id, error)
          failed.push(said(error))
        }
      }
      return { sent: chosen.length - failed.length, failed }
    },
    onSuccess: () => setTicked(new Set()),
    onSettled: () => invalidate('/api/dead-letters'),
  })
  const tick = (ids: string[], on: boolean) => {
    const next = new Set(ticked)
    for (const id of ids) { if (on) next.add(id); else next.delete(id) }
    setTicked(next)
  }
  return (
    <Sheet flush>
      <Table caption="Dead letters" rows={letters} id={(one) => one.id} columns={[
        {
          name: 'Choose', head: <input type="checkbox" aria-label="Choose all" checked={open.length > 0 && chosen.length === open.length} onChange={(event) => tick(open.map((one) => one.id), event.target.checked)} />,
          show: (one) => !one.replayed_at && <input type="checkbox" aria-label={`Choose the message of ${time(one.received_at)}`} checked={ticked.has(one.id)} onChange={(event) => tick([one.id], event.target.checked)} />,
        },
        { name: 'Received', by: (one) => one.received_at, show: (one) => time(one.received_at) },
        { name: 'Topic', by: (one) => one.topic, minor: true, show: (one) => <Badge>{one.topic}</Badge> },
        { name: 'Reason', by: (one) => one.reason, wide: true, show: (one) => <>{one.reason}<span className="id line">{Object.entries(one.ids).map(([name, id]) => `${words(name)} ${id}`).join(' · ')}</span></> },
        { name: 'Attempts', by: (one) => one.attempts, number: true, minor: true, show: (one) => number(one.attempts) },
        { name: 'Sent again', by: (one) => one.replayed_at, minor: true, show: (one) => (one.replayed_at ? `${time(one.replayed_at)} by ${one.replayed_by ?? 'somebody'}` : '–') },
      ]} />
      <div className="sum">
        <span>{plural(chosen.length, 'message')} chosen</span>
        <Go label="Send again" primary disabled={chosen.length === 0} busy={replay.isPending} error={replay.error} onClick={() => replay.mutate()} />
        {replay.data && <Notice mood={replay.data.failed.length > 0 ? 'warn' : 'good'}>{plural(replay.data.sent, 'message')} sent again. {replay.data.failed.join(' ')}</Notice>}
      </div>
    </Sheet>
  )
}

/** Matching counts the open messages of a topic, reason or time first, and sends them again together. */
function Matching() {
  const [topic, setTopic] = useState('')
  const [reason, setReason] = useState('')
  const [after, setAfter] = useState('')
  const count = useSend('post', '/api/dead-letters/replay')
  const replay = useSend('post', '/api/dead-letters/replay', ['/api/dead-letters'])
  const body = { ...(topic.trim() && { topic: topic.trim() }), ...(reason.trim() && { reason: reason.trim() }), ...(after && { received_after: new Date(after).toISOString() }) }
  const edit = (set: (value: string) => void) => (event: { target: { value: string } }) => { set(event.target.value); count.reset(); replay.reset() }
  const matched = count.data?.matched
  return (
    <Sheet title="Send again by what they have in common">
      <form className="row" onSubmit={(event) => { event.preventDefault(); replay.reset(); count.mutate({ body: { ...body, dry_run: true } }) }}>
        <Field label="Topic" hint="Empty: any."><input maxLength={255} value={topic} onChange={edit(setTopic)} /></Field>
        <Field label="Reason holds" hint="Empty: any."><input maxLength={500} value={reason} onChange={edit(setReason)} /></Field>
        <Field label="Received since"><input type="datetime-local" value={after} onChange={edit(setAfter)} /></Field>
        <Go label="Count them" submit busy={count.isPending} error={count.error} />
      </form>
      {matched !== undefined && !replay.data && <div className="sum">
        <span>{plural(matched, 'message')} would be sent again.</span>
        <Go label={`Send ${plural(Math.min(matched, 1000), 'message')} again`} primary disabled={matched === 0} busy={replay.isPending} error={replay.error} onClick={() => replay.mutate({ body: { ...body, dry_run: false } })} />
      </div>}
      {replay.data && <Notice mood={replay.data.left > 0 ? 'warn' : 'good'}>{plural(replay.data.replayed, 'message')} sent again.{replay.data.left > 0 && ` ${plural(replay.data.left, 'message')} still wait; count and send once more.`}</Notice>}
    </Sheet>
  )
}
