// Package notice reports to tenants what was done for them: a notice is written
// beside the data it is about, in the same transaction. functions/notify posts it to
// the tenant's webhook, and functions/digest to its Slack channel. A tenant without
// either, or with one that does not want the kind, costs nothing.
package notice

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
)

// Topic is where notices wait for their delivery.
const Topic = "tenant-notices"

// The kinds of notices that a tenant can choose from.
const (
	ChangeQueued      = "change.queued"
	ChangeAwaiting    = "change.awaiting_approval"
	ChangeCut         = "change.cut"
	ChangeApplied     = "change.applied"
	ChangeHeld        = "change.held"
	ChangeFailed      = "change.failed"
	ChangeUndone      = "change.undone"
	AdFatigued        = "ad.fatigued"
	AccountAlert      = "account.alert"
	CreativeRefreshed = "creative.refreshed"
	VideoAnalyzed     = "video.analyzed"
	VideoFailed       = "video.failed"
	SyncFailed        = "sync.failed"
	ConnectionRefused = "connection.refused"
	CRMRepaired       = "crm.repaired"
	// WebhookTest is what POST /api/connections/webhook/test sends.
	WebhookTest = "webhook.test"
)

// Kinds lists what a tenant can choose from.
var Kinds = []string{
	AccountAlert, AdFatigued, ChangeApplied, ChangeAwaiting, ChangeCut, ChangeFailed, ChangeHeld, ChangeQueued, ChangeUndone,
	ConnectionRefused, CRMRepaired, CreativeRefreshed, SyncFailed, VideoAnalyzed, VideoFailed, WebhookTest,
}

// Notice is one thing that a tenant may want to know. It leaves the house: no
// personal data belongs into it. E-mail addresses are taken out all the same.
type Notice struct {
	// Kind is one of Kinds.
	Kind string `json:"kind"`
	// AdID, AccountID and ChangeID say what it is about, where it is about one.
	AdID      string `json:"ad_id,omitempty"`
	AccountID string `json:"account_id,omitempty"`
	ChangeID  string `json:"change_id,omitempty"`
	// Text says it in plain words, at most MaxText characters.
	Text string `json:"text"`
	// At is when it happened; now where it is not said.
	At time.Time `json:"at"`
	// Data holds figures, in units and named with them.
	Data map[string]any `json:"data,omitempty"`
}

// MaxText is the longest Text, in characters; what is longer is cut.
const MaxText = 2000

// Put writes notices for tenant beside the data of tx: a message each where the
// tenant has a webhook that wants the kind, and a row where its Slack channel does. It works in pg.InTenant and
// pg.Across. Flush the outbox after the commit, or leave it to the relay.
func Put(ctx context.Context, tx pgx.Tx, tenant string, notices ...Notice) error {
	if len(notices) == 0 {
		return nil
	}
	return PutEach(ctx, tx, map[string][]Notice{tenant: notices})
}

// PutEach is Put for notices of several tenants at once, by tenant id: one
// statement for all of them, and one before it that finds what is wanted. It needs
// pg.Across.
func PutEach(ctx context.Context, tx pgx.Tx, notices map[string][]Notice) error {
	wanted, err := wantedBy(ctx, tx, slices.Sorted(maps.Keys(notices)))
	if err != nil {
		return err
	}
	var messages []message.Message
	var slack waiting
	for _, w := range wanted {
		for _, n := range notices[w.TenantID] {
			if len(w.Kinds) > 0 && !slices.Contains(w.Kinds, n.Kind) {
				continue
			}
			if w.Slack {
				slack.add(w.TenantID, n)
				continue
			}
			one, err := n.encoded()
			if err != nil {
				return fmt.Errorf("write notice %s of tenant %s: %w", n.Kind, w.TenantID, err)
			}
			messages = append(messages, message.Message{Topic: Topic, Data: one, Attributes: map[string]string{message.TenantAttribute: w.TenantID}})
		}
	}
	if err := slack.save(ctx, tx); err != nil {
		return err
	}
	return outbox.Put(ctx, tx, messages...)
}

// reader has the kinds that a tenant wants at its webhook, or in its Slack channel;
// none means all of them.
type reader struct {
	TenantID string
	Kinds    []string
	Slack    bool
}

// wantedBy returns which of the tenants want any notice. Most notices are
// wanted by nobody, and writing them out costs more than to ask.
func wantedBy(ctx context.Context, tx pgx.Tx, tenants []string) ([]reader, error) {
	if len(tenants) == 0 {
		return nil, nil
	}
	rows, _ := tx.Query(ctx, `
		SELECT tenant_id::text, kinds, false FROM gv.webhooks WHERE tenant_id = ANY (@tenants::uuid[]) AND disabled_at IS NULL
		UNION ALL
		SELECT tenant_id::text, kinds, true FROM gv.slack_connections WHERE tenant_id = ANY (@tenants::uuid[]) AND disabled_at IS NULL AND at_once
		ORDER BY 1, 3`,
		pgx.StrictNamedArgs{"tenants": tenants})
	wanted, err := pgx.CollectRows(rows, pgx.RowToStructByPos[reader])
	if err != nil {
		return nil, fmt.Errorf("read which notices are wanted: %w", err)
	}
	return wanted, nil
}

// address finds e-mail addresses in JSON; none of its characters is JSON's own.
var address = regexp.MustCompile(`[A-Za-z0-9._%+'\-]+@[A-Za-z0-9\-]+(\.[A-Za-z0-9\-]+)+`)

func (n Notice) encoded() ([]byte, error) {
	n.Text = cut(n.Text)
	n.At = cmp.Or(n.At, time.Now()).UTC()
	data, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	return address.ReplaceAll(data, []byte("a member")), nil
}

func cut(text string) string {
	if utf8.RuneCountInString(text) <= MaxText {
		return text
	}
	return string([]rune(text)[:MaxText-1]) + "…"
}

// Posted is a notice as a webhook receives it.
type Posted struct {
	// ID is the same in every delivery of one notice, as the header X-Geminivideo-Id.
	ID       string `json:"id"`
	TenantID string `json:"tenant_id"`
	Notice
}
