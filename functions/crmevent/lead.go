package crmevent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/leads"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// consumer is the inbox's name for these messages.
const consumer = "crmevent"

// Handle handles one message: leads itself, everything else through shared/dealsync.
func (f *function) Handle(ctx context.Context, m message.Message) error {
	var own struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(m.Data, &own); err != nil || own.Kind != leads.Kind {
		return f.Processor.Handle(ctx, m)
	}
	l, err := leads.Parse(m.Data)
	if err != nil {
		return err
	}
	tenant := m.Tenant()
	if tenant == "" {
		return fault.Invalidf("the message names no tenant")
	}
	serve.Note(ctx, "tenant", tenant, "page", l.PageID, "lead", l.LeadID)
	if err := f.recordLead(ctx, tenant, m, l); err != nil {
		return fmt.Errorf("record lead %s of page %s: %w", l.LeadID, l.PageID, err)
	}
	return nil
}

// recordLead reads a lead from Meta, once, and records it as a click on its ad. Of its
// e-mail address and phone number only hashes outlive this call.
func (f *function) recordLead(ctx context.Context, tenant string, m message.Message, l leads.Lead) error {
	var (
		key    = m.Key()
		page   leads.Page
		secret string
		done   bool
	)
	err := pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) (err error) {
		store := leads.NewStore(tx)
		if done, err = inbox.Seen(ctx, tx, consumer, key); err != nil || done {
			return err
		}
		if page, err = store.Page(ctx, l.PageID); err != nil {
			return err
		}
		secret, err = store.SecretName(ctx)
		return err
	})
	switch {
	case err != nil || done:
		return err
	case page.DisconnectedAt != nil:
		return fault.Conflictf("the Facebook page was disconnected before its lead was read")
	}
	read, err := f.readLead(ctx, tenant, page, l)
	if err != nil {
		return err
	}
	click := attribution.Click{
		ClickID: attribution.LeadClick(l.LeadID), AdID: read.AdID, CampaignID: read.CampaignID,
		ClickedAt: earlier(read.CreatedAt, time.Now()),
		LeadKeys:  attribution.LeadKeys{LeadID: l.LeadID},
	}
	if secret != "" && read.Email+read.Phone != "" {
		hashKey, err := f.vault.Get(ctx, secret)
		if err != nil {
			return err
		}
		click.EmailHash, click.PhoneHash = leads.Email(hashKey, read.Email), leads.Phone(hashKey, read.Phone)
	}
	var deals int
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		deals = 0
		if first, err := inbox.First(ctx, tx, consumer, key, ""); err != nil || !first {
			return err
		}
		if err := leads.NewStore(tx).Received(ctx, l.PageID, click.ClickedAt); err != nil || click.AdID == "" {
			return err // a lead without an ad is credited to none
		}
		_, n, err := attribution.NewStore(tx).RecordAndCredit(ctx, click)
		deals = n
		return err
	})
	if err == nil {
		telemetry.LedgerLag(ctx, "lead_form", m.PublishedAt)
	}
	if err == nil && deals > 0 {
		outbox.Flush(ctx, f.db, tenant, f.queue)
	}
	return err
}

// readLead asks Meta for the lead. Where Meta has it no more, what its notification
// said counts: that names the ad, and no person.
func (f *function) readLead(ctx context.Context, tenant string, page leads.Page, l leads.Lead) (read meta.Lead, err error) {
	for range 2 {
		token, err := f.vault.Get(ctx, page.AccessToken)
		if err != nil {
			return read, err
		}
		read, err = f.meta.Page(l.PageID, token).Lead(ctx, l.LeadID)
		if meta.Unauthorized(err) {
			f.vault.Forget(page.AccessToken) // it may have been replaced
		}
		switch {
		case err == nil:
			return read, nil
		case meta.Gone(err) && l.AdID != "":
			return meta.Lead{ID: l.LeadID, AdID: l.AdID, FormID: l.FormID, CreatedAt: l.CreatedAt}, nil
		case !meta.Unauthorized(err) && !meta.Forbidden(err):
			return read, err
		}
		if fresh, gone := f.vault.Get(ctx, page.AccessToken); gone == nil && fresh != token {
			continue
		}
		var refusal *fault.Error
		reason := "Meta refuses the page's token"
		if errors.As(err, &refusal) {
			reason = refusal.Message
		}
		if noted := pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
			return leads.NewStore(tx).Refused(ctx, tenant, l.PageID, reason)
		}); noted != nil {
			return read, noted
		}
		outbox.Flush(ctx, f.db, tenant, f.queue)
		return read, err
	}
	return read, fault.Down("the access token of the page was replaced twice while its lead was read; the message is tried again", nil)
}

func earlier(a, b time.Time) time.Time {
	if a.After(b) {
		return b.UTC()
	}
	return a.UTC()
}
