package attribution

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
)

// Topic is where deals wait to be credited again.
const Topic = "crm-events"

// RecordAndCredit records a click and, where it is new, credits again the conversions
// that it may take over. Deals, whose value the ad's figures hold, are left to the
// function that writes their ledger: a message names each. It returns the click as
// it is stored, and how many deals those are.
func (s Store) RecordAndCredit(ctx context.Context, click Click) (stored Click, deals int, err error) {
	if err := s.Lock(ctx, click.Keys()); err != nil {
		return click, 0, err
	}
	click, isNew, err := s.Record(ctx, click)
	if err != nil || !isNew {
		return click, 0, err
	}
	affected, conversions, err := s.Affected(ctx, click)
	if err != nil {
		return click, 0, err
	}
	for _, d := range affected {
		data, err := json.Marshal(struct {
			Kind     string `json:"kind"`
			PortalID int64  `json:"portal_id"`
			DealID   int64  `json:"deal_id"`
		}{"attribute", d.PortalID, d.DealID})
		if err != nil {
			return click, 0, err
		}
		if err := outbox.Put(ctx, s.tx, message.Message{Topic: Topic, Data: data}); err != nil {
			return click, 0, err
		}
	}
	return click, len(affected), s.Rederive(ctx, conversions)
}

// MatchLead records that the lead behind a click is a portal's contact and clears the
// hashes that it was found by. It returns the lead's id, "" where the click is no lead.
func (s Store) MatchLead(ctx context.Context, click string, portal, contact int64) (lead string, err error) {
	rows, _ := s.tx.Query(ctx, `
		UPDATE gv.clicks
		SET    lead_portal_id = coalesce(lead_portal_id, @portal), lead_contact_id = coalesce(lead_contact_id, @contact), email_hash = NULL,
		       phone_hash = NULL
		WHERE  tenant_id = gv.tenant() AND click_id = @click AND lead_id IS NOT NULL
		RETURNING lead_id`,
		pgx.StrictNamedArgs{"click": click, "portal": portal, "contact": contact})
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", fmt.Errorf("record whose lead %s is: %w", click, err)
	}
	if len(found) == 0 {
		return "", nil
	}
	return found[0], nil
}

// LeadsOf returns, by contact, the ids of the leads that were found to be one of a
// portal's contacts, in order.
func (s Store) LeadsOf(ctx context.Context, portal int64, contacts []int64) (map[int64][]string, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT lead_contact_id, lead_id FROM gv.clicks
		WHERE  tenant_id = gv.tenant() AND lead_portal_id = @portal AND lead_contact_id = ANY (@contacts) AND lead_id IS NOT NULL
		ORDER BY lead_id`,
		pgx.StrictNamedArgs{"portal": portal, "contacts": contacts})
	found := map[int64][]string{}
	var contact int64
	var lead string
	if _, err := pgx.ForEachRow(rows, []any{&contact, &lead},
		func() error { found[contact] = append(found[contact], lead); return nil }); err != nil {
		return nil, fmt.Errorf("find the leads of contacts %v: %w", contacts, err)
	}
	return found, nil
}
