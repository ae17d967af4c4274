// One video: its analysis, its DNA to be corrected, the verdict, and the way to its plan.
import { useLocation, useParams } from 'wouter'
import { useGet, useSend, type Answer } from '../../api/query'
import { may } from '../../auth/session'
import { useParam } from '../../parts/address'
import { Badge, Facts, Field, Go, Load, Notice, Sheet, View } from '../../parts/basic'
import { number, time, words } from '../../parts/format'
import { DnaForm, useDna, type Values } from './dna'
import { Verdict, type Gate } from './verdict'

type Video = Answer<'/api/videos/{id}'>

export function VideoView() {
  const { id = '' } = useParams()
  const video = useGet('/api/videos/{id}', { path: { id } }, { refetchInterval: (query) => (['uploaded', 'analyzing', 'waiting'].includes(query.state.data?.status ?? '') ? 2000 : false) })
  return <Load of={video} what="the video">{(one) => <Shown key={`${id}${one.status}`} video={one} />}</Load>
}

function Shown({ video }: { video: Video }) {
  const analyze = useSend('post', '/api/videos/{id}/analyze', ['/api/videos/{id}', '/api/videos'])
  const pending = ['uploaded', 'analyzing'].includes(video.status)
  return (
    <View title={video.name} crumbs={[['Creative', '/creative']]} beside={<Badge of={video.status} />}>
      <Sheet title="The video">
        <Facts of={[
          ['Uploaded', `${time(video.created_at)} by ${video.uploaded_by}`], ['Length', `${number(Math.round(video.duration_seconds * 10) / 10)} s, ${number(Math.round(video.frames_per_second))} frames a second`],
          ['Picture', `${video.width} × ${video.height}${video.orientation ? `, ${video.orientation}` : ''}`], ['Sound', video.has_audio ? 'yes' : 'no'], ['Size', `${number(Math.ceil(video.size_bytes / 1024))} kB`],
          video.generated_by && ['Analysed by', video.generated_by],
        ]} />
        {pending && <div role="status"><progress aria-label="Analysis" /> <span className="small soft">It is being analysed; this page follows by itself.</span></div>}
        {video.waiting_for && <Notice>It waits: {video.waiting_for}</Notice>}
        {video.failure && <Notice mood="bad">The analysis failed: {video.failure}</Notice>}
        {may('editor') && !pending && <Go label={video.status === 'analyzed' ? 'Analyse it again' : 'Analyse it'} busy={analyze.isPending} error={analyze.error} onClick={() => analyze.mutate({ params: { path: { id: video.video_id } } })} />}
      </Sheet>
      {!pending && <Judge video={video} />}
    </View>
  )
}

function Judge({ video }: { video: Video }) {
  const accounts = useGet('/api/accounts')
  const [account, setAccount] = useParam('account')
  const [, go] = useLocation()
  const dna = useDna(`video.${video.video_id}`, (video.creative_dna ?? {}) as Values)
  const judge = useSend('post', '/api/ml/predict-creative')
  const write = useSend('post', '/api/titan/director/battle-plan', ['/api/titan/director/plans'])
  if (!may('editor')) return <Sheet title="Its DNA"><Facts of={Object.entries(dna.read()).map(([key, value]) => [words(key), typeof value === 'object' ? JSON.stringify(value) : String(value)])} /></Sheet>
  return (
    <Sheet title="Its DNA">
      <Load of={accounts} what="accounts">{({ accounts: all }) => {
        const chosen = account || (all[0]?.account_id ?? '')
        return (
          <form className="stack" onSubmit={(event) => { event.preventDefault(); judge.mutate({ body: { creative_dna: dna.read() as never, account_id: chosen } }) }}>
            {all.length > 1 && <Field label="Account"><select value={chosen} onChange={(event) => setAccount(event.target.value)}>{all.map((one) => <option key={one.account_id} value={one.account_id}>{one.name || one.account_id}</option>)}</select></Field>}
            <DnaForm of={dna} />
            <div className="row">
              <Go label="Judge it" submit primary busy={judge.isPending} disabled={dna.wrong !== undefined || !chosen} error={judge.error} />
              <Go label="Write the plan" busy={write.isPending} disabled={dna.wrong !== undefined || !chosen} error={write.error} onClick={() => write.mutate(
                { body: { video_id: video.video_id, creative_dna: dna.read() as never, account_id: chosen } }, { onSuccess: (plan) => { dna.forget(); go(`/creative/plans/${plan.plan_id}`) } },
              )} />
            </div>
            {judge.data && <Verdict of={judge.data as Gate} />}
          </form>
        )
      }}</Load>
    </Sheet>
  )
}
