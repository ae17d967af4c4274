// An account's alarm: its ads fell together, so none of them alone is at fault.
import type { components } from '@geminivideo/ml-api'
import { Notice } from './basic'
import { plural, share, words } from './format'

export function Alarm({ of, account }: { account?: string; of: Pick<components['schemas']['TenantsAccountAlert'], 'kind' | 'since' | 'ads' | 'fell_by' | 'detail' | 'action'> }) {
  return <Notice mood="bad" alert>{account && `${account}: `}<b>{words(of.kind)}</b> since {of.since}: {plural(of.ads, 'ad')}, by {share(of.fell_by)}. {of.detail} {of.action}</Notice>
}
