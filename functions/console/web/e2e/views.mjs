// Every view with what its heading says: for axe, for pictures, and for a look at what covers what.
export const views = [
  ['home', '/', /Good/], ['budget', '/budget', 'Budget'], ['campaigns', '/campaigns', 'Campaigns'], ['changes', '/changes', 'Changes'], ['history', '/changes/history', 'History of changes'],
  ['winners', '/winners', 'Winners'], ['creative', '/creative', 'Creative'], ['pipeline', '/pipeline', 'Pipeline'], ['learning', '/learning', 'Learning'], ['decisions', '/decisions', 'Decisions'],
  ['accounts', '/setup/accounts', 'Ad accounts'], ['meta', '/setup/meta', 'Meta'], ['hubspot', '/setup/hubspot', 'HubSpot'], ['sources', '/setup/sources', 'Other CRMs'], ['import', '/setup/import', 'Import'],
  ['webhook', '/setup/webhook', 'Webhook'], ['slack', '/setup/slack', 'Slack'], ['members', '/setup/members', 'Members'], ['keys', '/setup/keys', 'Keys'], ['schedules', '/setup/schedules', 'Schedules'],
  ['dead-letters', '/setup/dead-letters', 'Dead letters'], ['privacy', '/setup/privacy', 'Privacy'],
]
