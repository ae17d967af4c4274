// The frame around every view: where one can go, who is signed in, and the switch that stops all writes.
import { Suspense, lazy, memo, useEffect, useRef, useSyncExternalStore, type ComponentType } from 'react'
import { Redirect, Route, Router, Switch, useLocation } from 'wouter'
import { queries } from '../api/query'
import { endedBecause, session, signedInAs, subscribe, type Session } from '../auth/session'
import { leaving } from '../parts/address'
import { HomeView } from '../views/home'
import { ErrorFence } from './fence'
import { Side } from './side'
import { SignInView } from './signin'
import { TenantGate } from './tenants'
import { TopBar } from './top'

const later = <P extends object>(load: () => Promise<Record<string, unknown>>, name: string) =>
  lazy(async () => ({ default: (await load())[name] as ComponentType<P> }))

const routes: [string, ComponentType][] = [
  ['/', HomeView],
  ['/budget', later(() => import('../views/optimizer/view'), 'OptimizerView')],
  ['/campaigns', later(() => import('../views/campaigns'), 'CampaignsView')],
  ['/campaigns/:id', later(() => import('../views/campaign'), 'CampaignView')],
  ['/ads/:id', later(() => import('../views/ad'), 'AdView')],
  ['/changes', later(() => import('../views/changes/view'), 'ChangesView')],
  ['/changes/history', later(() => import('../views/changes/history'), 'HistoryView')],
  ['/winners', later(() => import('../views/winners'), 'WinnersView')],
  ['/creative', later(() => import('../views/creative/view'), 'CreativeView')],
  ['/creative/videos/:id', later(() => import('../views/creative/video'), 'VideoView')],
  ['/creative/plans/:id', later(() => import('../views/creative/plan'), 'PlanView')],
  ['/pipeline', later(() => import('../views/pipeline'), 'PipelineView')],
  ['/learning', later(() => import('../views/learning'), 'LearningView')],
  ['/decisions', later(() => import('../views/decisions'), 'DecisionsView')],
  ['/decisions/:id', later(() => import('../views/decision'), 'DecisionView')],
  ['/setup/:page?', later(() => import('../views/setup/view'), 'SetupView')],
]

export function App({ refused }: { refused?: string }) {
  const signedIn = useSyncExternalStore(subscribe, session)
  const before = useRef(signedIn)
  const person = signedIn ?? (endedBecause() ? signedInAs() : null)
  const tenant = person?.tenant
  useEffect(() => {
    if (signedIn && before.current === null) void queries.invalidateQueries() // what failed meanwhile is asked for again
    before.current = signedIn
  }, [signedIn])
  const last = useRef(tenant)
  if (last.current !== tenant) {
    if (last.current) queries.clear() // nothing of one tenant is shown to another
    last.current = tenant
  }
  if (!person) return <SignInView refused={refused} />
  // The views stay behind the sign-in while a session that ended waits for a new one, so that nothing typed is lost.
  return (
    <>
      {!signedIn && <SignInView refused={refused} />}
      <div hidden={!signedIn}>
        <Router base="/console" aroundNav={(go, to, options) => { if (leaving()) go(to, options) }}>
          {tenant ? <Frame key={tenant + person.email} person={person} /> : <main><TenantGate /></main>}
        </Router>
      </div>
    </>
  )
}

const Frame = memo(function Frame({ person }: { person: Session }) {
  const [path] = useLocation()
  const before = useRef(path)
  useEffect(() => {
    if (before.current !== path) window.scrollTo(0, 0)
    before.current = path
  }, [path])
  return (
    <div className="frame">
      <a className="skip" href="#main">Skip to the content</a>
      <Side person={person} />
      <div>
        <TopBar />
        <main id="main" tabIndex={-1}>
          <ErrorFence key={path}>
            <Suspense fallback={<div className="loading" role="status">Loading …</div>}>
              <Switch>
                {routes.map(([route, component]) => <Route key={route} path={route} component={component} />)}
                <Route><Redirect to="/" replace /></Route>
              </Switch>
            </Suspense>
          </ErrorFence>
        </main>
      </div>
    </div>
  )
})
