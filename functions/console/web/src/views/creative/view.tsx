// A creative before money is spent on it: upload a video, describe an idea, see the gate's verdict, have the plan written.
import { useMutation } from '@tanstack/react-query'
import { Problem, newKey } from '@geminivideo/ml-api'
import { useRef, useState } from 'react'
import { Link, useLocation } from 'wouter'
import { accessToken } from '../../auth/session'
import { useAdNames } from '../../api/ads'
import { invalidate, previous, useGet, useSend, type Answer } from '../../api/query'
import { may } from '../../auth/session'
import { useParam } from '../../parts/address'
import { Badge, Empty, Facts, Field, Go, Load, Notice, Sheet, View } from '../../parts/basic'
import { ago, number, share, time, words } from '../../parts/format'
import { Table } from '../../parts/table'
import { DnaForm, useDna } from './dna'
import { Verdict, type Gate } from './verdict'

export function CreativeView() {
  return (
    <View title="Creative" lead="Upload a video or describe an idea by its creative DNA. The gate says whether it is worth spending on, and the director writes its plan from what has won.">
      {may('editor') && <div className="two"><Upload /><Idea /></div>}
      <Videos />
      <Plans />
      <Refreshes />
    </View>
  )
}

/** upload sends a file with progress, which fetch cannot say. */
function upload(file: File, key: string, token: string | null, progress: (part: number) => void, aborted: AbortSignal): Promise<Answer<'/api/videos/upload', 'post'>> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', '/api/videos/upload')
    request.responseType = 'json'
    request.setRequestHeader('Authorization', `Bearer ${token ?? ''}`)
    request.setRequestHeader('Idempotency-Key', key)
    request.upload.onprogress = (event) => { if (event.lengthComputable) progress(event.loaded / event.total) }
    request.onload = () => {
      const told = request.response as { detail?: string; errors?: [] } | null
      if (request.status < 300 && told) resolve(told as never)
      else reject(new Problem(request.status, told?.detail ?? `The server answered ${request.status} without saying why.`, told?.errors, Number(request.getResponseHeader('Retry-After')) || undefined))
    }
    request.onerror = () => reject(new Problem(0, 'The upload broke off. Check your connection and send it again; it is stored once.'))
    request.onabort = () => reject(new Error('The upload was cancelled.'))
    aborted.addEventListener('abort', () => request.abort())
    const form = new FormData()
    form.append('file', file)
    request.send(form)
  })
}

function Upload() {
  const [, go] = useLocation()
  const [file, setFile] = useState<File>()
  const [part, setPart] = useState(0)
  const stop = useRef<AbortController>(undefined)
  const key = useRef('')
  const send = useMutation<Answer<'/api/videos/upload', 'post'>, Error>({
    mutationFn: async () => {
      if (!file) throw new Error('Choose a video first.')
      stop.current = new AbortController()
      setPart(0)
      return upload(file, key.current, await accessToken(), setPart, stop.current.signal)
    },
    onSuccess: async (told) => { await invalidate('/api/videos'); go(`/creative/videos/${told.video_id}`) },
  })
  return (
    <Sheet title="Upload a video">
      <form className="stack" onSubmit={(event) => { event.preventDefault(); send.mutate() }}>
        <Field label="Video, MP4, MOV or WebM"><input type="file" accept="video/mp4,video/quicktime,video/webm" required onChange={(event) => { setFile(event.target.files?.[0]); key.current = newKey(); send.reset() }} /></Field>
        {send.isPending && <><progress value={part} max="1" aria-label="Upload" /><span className="small soft" role="status">{part < 1 ? `${share(part)} sent` : 'Sent; it is being stored'}</span></>}
        <Go label="Upload" submit primary busy={send.isPending} error={send.error}>
          {send.isPending && <button type="button" onClick={() => stop.current?.abort()}>Cancel</button>}
        </Go>
      </form>
    </Sheet>
  )
}

function Idea() {
  const accounts = useGet('/api/accounts')
  const [, go] = useLocation()
  const dna = useDna('idea')
  const [account, setAccount] = useParam('account')
  const judge = useSend('post', '/api/ml/predict-creative')
  const write = useSend('post', '/api/titan/director/battle-plan', ['/api/titan/director/plans'])
  return (
    <Sheet title="Judge an idea">
      <Load of={accounts} what="accounts">{({ accounts: all }) => {
        if (all.length === 0) return <Empty title="No ad account yet" hint="Import a report first: what your ads have done is what the gate goes by." to={['Import', '/setup/import']} />
        const chosen = account || all[0]!.account_id
        return (
          <form className="stack" onSubmit={(event) => { event.preventDefault(); judge.mutate({ body: { creative_dna: dna.read() as never, account_id: chosen } }) }}>
            {all.length > 1 && <Field label="Account"><select value={chosen} onChange={(event) => setAccount(event.target.value)}>{all.map((one) => <option key={one.account_id} value={one.account_id}>{one.name || one.account_id}</option>)}</select></Field>}
            <DnaForm of={dna} />
            <div className="row">
              <Go label="Judge it" submit primary busy={judge.isPending} disabled={dna.wrong !== undefined} error={judge.error} />
              <Go label="Write the plan" busy={write.isPending} disabled={dna.wrong !== undefined} error={write.error} onClick={() => write.mutate(
                { body: { video_id: 'idea', creative_dna: dna.read() as never, account_id: chosen } }, { onSuccess: (plan) => { dna.forget(); go(`/creative/plans/${plan.plan_id}`) } },
              )} />
            </div>
            {judge.data && <Verdict of={judge.data as Gate} />}
          </form>
        )
      }}</Load>
    </Sheet>
  )
}

function Videos() {
  const [after, setAfter] = useParam('videos')
  const list = useGet('/api/videos', { query: { limit: 20, after: after || undefined } }, {
    placeholderData: previous, refetchInterval: (query) => (query.state.data?.videos?.some((one) => one.status === 'analyzing' || one.status === 'uploaded') ? 3000 : false),
  })
  return (
    <Load of={list} what="videos">{(told) => ((told.videos ?? []).length === 0 ? <></> : (
      <Sheet flush title="Videos">
        <Table caption="Videos" param="vsort" rows={told.videos ?? []} id={(one) => one.video_id} columns={[
          { name: 'Video', by: (one) => one.name, wide: true, show: (one) => <Link href={`/creative/videos/${one.video_id}`}>{one.name}</Link> },
          { name: 'Status', by: (one) => one.status, show: (one) => <><Badge of={one.status} />{(one.failure ?? one.waiting_for) && <span className="small soft line">{one.failure ?? one.waiting_for}</span>}</> },
          { name: 'Length', by: (one) => one.duration_seconds, number: true, minor: true, show: (one) => `${number(Math.round(one.duration_seconds))} s` },
          { name: 'Size', by: (one) => one.size_bytes, number: true, minor: true, show: (one) => `${number(Math.ceil(one.size_bytes / 1024))} kB` },
          { name: 'Uploaded', by: (one) => one.created_at, minor: true, show: (one) => ago(one.created_at) },
        ]} />
        <div className="inner">{after && <button type="button" onClick={() => setAfter('')}>The newest</button>}{told.next && <button type="button" onClick={() => setAfter(told.next ?? '')}>Older ones</button>}</div>
      </Sheet>
    ))}</Load>
  )
}

// likeAd is the ad that a plan was asked for from its winner, where it was.
const likeAd = (video: string | undefined) => /^like-(.+)$/.exec(video ?? '')?.[1]

function Plans() {
  const [cursor, setCursor] = useParam('plans')
  const list = useGet('/api/titan/director/plans', { query: { limit: 30, cursor: cursor || undefined } }, { placeholderData: previous })
  const name = useAdNames((list.data?.plans ?? []).flatMap((one) => (one.ad_id ?? likeAd(one.video_id) ?? [])))
  const videos = useGet('/api/videos', { query: { limit: 20 } }).data?.videos ?? []
  const forWhat = (video = '') => {
    const ad = likeAd(video)
    const known = videos.find((one) => one.video_id === video)
    if (ad) return <>like <Link href={`/ads/${encodeURIComponent(ad)}`}>{name(ad)}</Link></>
    if (known) return <Link href={`/creative/videos/${video}`}>{known.name}</Link>
    return video === 'idea' ? 'an idea' : <span className="id">{video}</span>
  }
  return (
    <Load of={list} what="plans">{(told) => ((told.plans ?? []).length === 0
      ? <Sheet title="Plans"><p className="soft">No plans yet. Judge a creative above and have its plan written; replacements for tired ads appear here by themselves.</p></Sheet>
      : (
        <Sheet flush title="Plans">
          <Table caption="Plans" param="psort" rows={told.plans ?? []} id={(one) => one.plan_id} columns={[
            { name: 'When', by: (one) => one.created_at, show: (one) => <Link href={`/creative/plans/${one.plan_id}`}>{time(one.created_at)}</Link> },
            { name: 'Kind', by: (one) => one.kind, show: (one) => <Badge of={one.kind} /> },
            { name: 'For', by: (one) => one.ad_id ?? one.video_id, minor: true, show: (one) => (one.ad_id ? <>in place of <Link href={`/ads/${encodeURIComponent(one.ad_id)}`}>{name(one.ad_id)}</Link></> : forWhat(one.video_id)) },
            { name: 'Hook', by: (one) => one.hook_type, wide: true, show: (one) => <><b>{words(one.hook_type)}</b><span className="small soft line">{one.hook_text}</span></> },
            { name: 'Expected CTR', by: (one) => one.predicted_ctr, number: true, show: (one) => share(one.predicted_ctr, 2) },
          ]} />
          <div className="inner">{cursor && <button type="button" onClick={() => setCursor('')}>The newest</button>}{told.next_cursor && <button type="button" onClick={() => setCursor(told.next_cursor ?? '')}>Older ones</button>}</div>
        </Sheet>
      ))}</Load>
  )
}

function Refreshes() {
  const list = useGet('/api/titan/director/refreshes', { query: { limit: 20 } })
  const waiting = (list.data?.refreshes ?? []).filter((one) => one.status !== 'planned')
  const name = useAdNames(waiting.map((one) => one.ad_id))
  if (waiting.length === 0) return null
  return (
    <Sheet title="Replacements asked for">
      <Facts of={waiting.map((one) => [<Link key="a" href={`/ads/${encodeURIComponent(one.ad_id)}`}>{name(one.ad_id)}</Link>, <>{words(one.status)} since {ago(one.requested_at)}: {one.failure ?? one.reason}</>])} />
      {waiting.some((one) => one.status === 'failed') && <Notice mood="warn">What failed is tried again when it is asked for on the ad’s page.</Notice>}
    </Sheet>
  )
}
