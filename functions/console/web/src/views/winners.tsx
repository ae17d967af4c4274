// The memory of winning ads, searched by meaning: by words, by a creative's DNA, or by an ad that is known.
import { useEffect, useState, type FormEvent } from 'react'
import { Link, useLocation } from 'wouter'
import { useAdNames } from '../api/ads'
import { useGet, useSend, type Answer } from '../api/query'
import { may } from '../auth/session'
import { AdField } from '../parts/adfield'
import { useParam } from '../parts/address'
import { Bar, Empty, Facts, Field, Go, Load, Notice, Sheet, Trouble, View } from '../parts/basic'
import { number, plural, share, time, times, words } from '../parts/format'

const examples = ['a question as the hook, fast cuts', '{"hook_type": "testimonial", "visual_pacing": "slow"}']
type Found = Answer<'/api/ml/rag/search-winners', 'post'>
type Winner = NonNullable<Found['winners']>[number]

export function WinnersView() {
  const [query, setQuery] = useParam('q')
  const [like, setLike] = useParam('like')
  const [most, setMost] = useParam('most', '5')
  const [alike, setAlike] = useParam('alike', '0')
  const [clicked, setClicked] = useParam('ctr', '0')
  const [draft, setDraft] = useState(query)
  const search = useSend('post', '/api/ml/rag/search-winners')
  const ask = (text: string) => search.mutate({ body: { query: text, top_k: Number(most), min_similarity: Number(alike) / 100, min_ctr: Number(clicked) / 100 } as never })
  useEffect(() => { if (query) ask(query) }, []) // eslint-disable-line react-hooks/exhaustive-deps -- what the address asks is asked once, when it opens
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setLike('')
    setQuery(draft)
    ask(draft)
  }
  const likeThis = (winner: { ad_id: string; metadata: { creative_dna?: unknown } }) => {
    const text = JSON.stringify(winner.metadata.creative_dna ?? {})
    setDraft(text)
    setQuery(text)
    setLike(winner.ad_id)
    ask(text)
  }
  return (
    <View title="Winners" lead="Ads whose pipeline returned more than the bar are remembered with their creative DNA. Find those like an idea before you pay for it.">
      <div className="two">
        <Sheet>
          <form className="stack" onSubmit={submit}>
            <Field label="Text or creative DNA"><textarea value={draft} onChange={(event) => setDraft(event.target.value)} required maxLength={32768} spellCheck={false} placeholder="Describe a creative, or paste its DNA as JSON" /></Field>
            <div className="grid">
              <Field label="At most"><input type="number" min="1" max="100" required value={most} onChange={(event) => setMost(event.target.value)} /></Field>
              <Field label="Similarity from, %"><input type="number" min="0" max="100" step="any" required value={alike} onChange={(event) => setAlike(event.target.value)} /></Field>
              <Field label="CTR from, %"><input type="number" min="0" max="100" step="any" required value={clicked} onChange={(event) => setClicked(event.target.value)} /></Field>
            </div>
            <Go label="Find similar winners" submit primary busy={search.isPending} error={search.error} />
          </form>
          <div className="small soft">For example {examples.map((text) => <button key={text} type="button" className="plain" onClick={() => { setDraft(text); setLike(''); setQuery(text); ask(text) }}>{text}</button>)}</div>
          <LikeAd onFound={likeThis} />
        </Sheet>
        <Memory />
      </div>
      {search.data && <Results told={search.data} like={like} likeThis={likeThis} />}
    </View>
  )
}

/** LikeAd looks one remembered ad up and searches by its DNA. */
function LikeAd({ onFound }: { onFound: (winner: Answer<'/api/ml/rag/winner/{ad_id}'>) => void }) {
  const [id, setId] = useState('')
  const [asked, setAsked] = useState('')
  const winner = useGet('/api/ml/rag/winner/{ad_id}', { path: { ad_id: asked } }, { enabled: asked !== '' })
  const found = winner.data
  useEffect(() => { if (found && found.ad_id === asked) { onFound(found); setAsked('') } }, [found]) // eslint-disable-line react-hooks/exhaustive-deps
  return (
    <form className="row" onSubmit={(event) => { event.preventDefault(); setAsked(id.trim()) }}>
      <AdField label="Or like a remembered ad, by its name" id={id} choose={setId} required />
      <Go label="Like this ad" submit busy={winner.isFetching} error={asked && winner.error} />
    </form>
  )
}

function Memory() {
  const stats = useGet('/api/ml/rag/memory-stats')
  return (
    <Sheet title="The memory">
      <Load of={stats} what="the memory">{(memory) => (
        <Facts of={[
          ['Winners', number(memory.total_winners_in_memory)], ['Remembered in all', number(memory.total_remembered)], ['Indexed', number(memory.faiss_index_size)], ['Embedding model', memory.embedding_model],
          ['Dimensions', number(memory.dimension)], ['Search', `${memory.memory_backend}, ${memory.search}`], ['Index', `${number(Math.ceil(memory.index_bytes / 1024))} kB`],
          memory.recall_measured_at ? ['Recall', `${share(memory.recall, 1)} of the exact answer, measured ${time(memory.recall_measured_at)}`] : null,
          memory.embedding_change && ['Being embedded anew', `${plural(memory.embedding_change.remaining, 'winner')} left, by ${memory.embedding_change.embedding_model}`],
        ]} />
      )}</Load>
    </Sheet>
  )
}

function Results({ told, like, likeThis }: { told: Found; like: string; likeThis: (winner: Winner) => void }) {
  const winners = told.winners ?? []
  const name = useAdNames([...winners.map((one) => one.ad_id), ...(like ? [like] : [])])
  if (told.total_in_memory === 0) {
    return <Sheet><Empty title="No winners yet" hint="An ad becomes one by itself as soon as its pipeline ROAS passes 3 with at least 50 spent. Import a report, and let deals arrive." /></Sheet>
  }
  if (winners.length === 0) {
    return <Sheet><Empty title="Nothing is that similar" hint={`None of the ${plural(told.total_in_memory, 'winner')} in memory passes your limits. Lower the similarity or the CTR.`} /></Sheet>
  }
  return (
    <>
      <h2 role="status">{plural(winners.length, 'winner')} of {number(told.total_in_memory)}{like && ` like ${name(like)}`}</h2>
      {winners.map((one) => <Match key={one.ad_id} winner={one} name={name(one.ad_id)} likeThis={likeThis} />)}
    </>
  )
}

function Match({ winner, name, likeThis }: { winner: Winner; name: string; likeThis: (winner: Winner) => void }) {
  const dna = (winner.metadata.creative_dna ?? {}) as Record<string, unknown>
  const plain = Object.entries(dna).filter(([, value]) => typeof value !== 'object')
  return (
    <article className="sheet match" aria-label={name}>
      <div className="stack">
        <h3><Link href={`/ads/${encodeURIComponent(winner.ad_id)}`}>{name}</Link></h3>
        <p>Hook: <b>{words(String(dna.hook_type ?? 'unknown'))}</b>, pacing: <b>{words(String(dna.visual_pacing ?? 'unknown'))}</b></p>
        {plain.length > 0 ? <ul className="chips">{plain.map(([key, value]) => <li key={key}><span className="soft">{words(key)}</span> {String(value)}</li>)}</ul> : <p className="soft small">Nothing is known of its creative.</p>}
        {Object.keys(dna).length > plain.length && <details><summary>All of its DNA</summary><pre tabIndex={0}>{JSON.stringify(dna, null, 2)}</pre></details>}
      </div>
      <div className="stack">
        <div><div className="number">{share(winner.similarity, 1)} alike</div><Bar share={winner.similarity} /></div>
        <Facts of={[['ROAS', times(winner.metadata.pipeline_roas)], ['CTR', share(winner.metadata.ctr, 2)]]} />
        <Go label="More like this" name={`More like ${name}`} onClick={() => likeThis(winner)} />
        {may('editor') && <PlanFrom winner={winner} />}
      </div>
    </article>
  )
}

/** PlanFrom goes from a winner straight to a battle plan. */
function PlanFrom({ winner }: { winner: Winner }) {
  const accounts = useGet('/api/accounts').data?.accounts ?? []
  const [, go] = useLocation()
  const write = useSend('post', '/api/titan/director/battle-plan', ['/api/titan/director/plans'])
  const account = accounts[0]?.account_id
  if (!account) return <Notice>A plan needs an ad account.</Notice>
  return (
    <>
      <Go label="Plan a video like it" primary busy={write.isPending} onClick={() => write.mutate(
        { body: { video_id: `like-${winner.ad_id}`, creative_dna: winner.metadata.creative_dna as Record<string, never>, account_id: account } },
        { onSuccess: (plan) => go(`/creative/plans/${plan.plan_id}`) },
      )} />
      <Trouble error={write.error} />
    </>
  )
}
