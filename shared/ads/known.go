package ads

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
)

// KnownKind marks a Known among the messages of crm-events.
const KnownKind = "ad_known"

// Known asks for the deals and conversions that an ad's clicks may change to be
// credited again: the clicks were recorded before the ad was known here, and what
// they share with another ad's went to that one. BeforeAt and BeforeClick say which
// of its clicks are still to be looked at, the latest first; empty means all.
type Known struct {
	Kind        string     `json:"kind"`
	AdID        string     `json:"ad_id"`
	BeforeAt    *time.Time `json:"before_at,omitempty"`
	BeforeClick string     `json:"before_click,omitempty"`
}

// clicked is a condition on ad t: it has clicks already.
const clicked = `EXISTS (SELECT FROM gv.clicks k WHERE k.tenant_id = gv.tenant() AND k.ad_id = t.ad_id)`

// AddedWithClicks returns an SQL expression: those of the ads in the table (with a
// column ad_id, just added) that have clicks already, as an array.
func AddedWithClicks(table string) string {
	return `(SELECT coalesce(array_agg(t.ad_id ORDER BY t.ad_id), '{}') FROM ` + table + ` t WHERE ` + clicked + `)`
}

// PutAdded writes a message for each of the ads that were just added and have
// clicks, in the transaction that added them.
func PutAdded(ctx context.Context, tx pgx.Tx, ids []string) error {
	all := make([]Known, len(ids))
	for i, id := range ids {
		all[i].AdID = id
	}
	return PutKnown(ctx, tx, all...)
}

// PutKnown writes the messages.
func PutKnown(ctx context.Context, tx pgx.Tx, ads ...Known) error {
	var all []message.Message
	for _, k := range ads {
		k.Kind = KnownKind
		data, err := json.Marshal(k)
		if err != nil {
			return err
		}
		all = append(all, message.Message{Topic: "crm-events", Data: data})
	}
	return outbox.Put(ctx, tx, all...)
}
