// Set-up: one page for each thing that is connected, imported, or decided once.
import type { ComponentType } from 'react'
import { Link, Redirect, useParams } from 'wouter'
import { may, type Role } from '../../auth/session'
import { View } from '../../parts/basic'
import { AccountsPage } from './accounts'
import { LettersPage } from './letters'
import { HubSpotPage } from './hubspot'
import { ImportPage } from './import'
import { KeysPage } from './keys'
import { MembersPage } from './members'
import { MetaPage } from './meta'
import { PrivacyPage } from './privacy'
import { SchedulesPage } from './schedules'
import { SourcesPage } from './sources'
import { SlackPage } from './slack'
import { WebhookPage } from './webhook'

const pages: [string, string, Role, ComponentType][] = [
  ['accounts', 'Ad accounts', 'viewer', AccountsPage], ['meta', 'Meta', 'admin', MetaPage], ['hubspot', 'HubSpot', 'admin', HubSpotPage], ['sources', 'Other CRMs', 'admin', SourcesPage],
  ['import', 'Import', 'editor', ImportPage], ['webhook', 'Webhook', 'admin', WebhookPage], ['slack', 'Slack', 'admin', SlackPage], ['members', 'Members', 'admin', MembersPage], ['keys', 'Keys', 'admin', KeysPage],
  ['schedules', 'Schedules', 'admin', SchedulesPage], ['dead-letters', 'Dead letters', 'admin', LettersPage], ['privacy', 'Privacy', 'admin', PrivacyPage],
]

export function SetupView() {
  const { page } = useParams()
  const offered = pages.filter(([, , role]) => may(role))
  const here = offered.find(([name]) => name === page) ?? offered[0]
  if (!here) return null
  const [name, title, , Page] = here
  if (page !== name) return <Redirect to={`/setup/${name}`} replace />
  return (
    <View key={name} title={`${title}, set-up`} name={title}>
      <nav className="tabs" aria-label="Set-up">{offered.map(([to, label]) => <Link key={to} href={`/setup/${to}`} aria-current={to === name ? 'page' : undefined}>{label}</Link>)}</nav>
      <Page />
    </View>
  )
}
