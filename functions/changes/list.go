package changes

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
)

type listInput struct {
	Status    string `query:"status" enum:"open,pending,awaiting_approval,applying,unknown,applied,dry_run,held,failed,rejected,superseded,undone" doc:"Only those; open: all that are not finished."`
	AccountID string `query:"account_id" maxLength:"256" doc:"Only this account's."`
	AdID      string `query:"ad_id" maxLength:"256" doc:"Only those that are about this ad, alone or with others of its ad set."`
	Limit     int    `query:"limit" default:"50" minimum:"1" maximum:"200"`
	Cursor    string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
}

type listOutput struct {
	Body struct {
		Changes    []Change `json:"changes" nullable:"false"`
		NextCursor string   `json:"next_cursor,omitempty" doc:"Left out on the last page."`
	}
}

func (f *function) list(ctx context.Context, in *listInput) (*listOutput, error) {
	filter := queue.Filter{Status: changes.Status(in.Status), AccountID: in.AccountID, AdID: in.AdID, Limit: in.Limit + 1}
	if err := place(&filter, in.Cursor); err != nil {
		return nil, err
	}
	tenant := auth.From(ctx).Tenant
	var found []queue.Listed
	err := pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) (err error) {
		found, err = queue.NewStore(tx).List(ctx, tenant, filter)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &listOutput{}
	out.Body.Changes = []Change{}
	for i, l := range found {
		if i == in.Limit {
			last := found[i-1]
			out.Body.NextCursor = cursor(last.CreatedAt, last.ChangeID)
			break
		}
		out.Body.Changes = append(out.Body.Changes, shown(l))
	}
	return out, nil
}

type historyInput struct {
	Outcome   string `query:"outcome" enum:"applied,dry_run,held,failed,unknown,superseded,rejected,undone" doc:"Only those."`
	AccountID string `query:"account_id" maxLength:"256" doc:"Only this account's."`
	AdID      string `query:"ad_id" maxLength:"256" doc:"Only what is about this ad."`
	Campaign  string `query:"campaign_id" maxLength:"640" doc:"Only what is about this campaign's ads."`
	ChangeID  string `query:"change_id" format:"uuid" doc:"Only this change's."`
	Limit     int    `query:"limit" default:"50" minimum:"1" maximum:"200"`
	Cursor    string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
}

type historyOutput struct {
	Body struct {
		History    []Entry `json:"history" nullable:"false"`
		NextCursor string  `json:"next_cursor,omitempty" doc:"Left out on the last page."`
	}
}

func (f *function) history(ctx context.Context, in *historyInput) (*historyOutput, error) {
	filter := queue.Filter{
		Status: changes.Status(in.Outcome), AccountID: in.AccountID, AdID: in.AdID, CampaignID: in.Campaign,
		ChangeID: strings.ToLower(in.ChangeID),
		Limit:    in.Limit + 1,
	}
	if err := place(&filter, in.Cursor); err != nil {
		return nil, err
	}
	tenant := auth.From(ctx).Tenant
	var found []queue.Line
	err := pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) (err error) {
		found, err = queue.NewStore(tx).History(ctx, tenant, filter)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &historyOutput{}
	out.Body.History = []Entry{}
	for i, l := range found {
		if i == in.Limit {
			last := found[i-1]
			out.Body.NextCursor = cursor(last.At, last.HistoryID)
			break
		}
		out.Body.History = append(out.Body.History, entryOf(l))
	}
	return out, nil
}

// cursor names a place in a list.
func cursor(at time.Time, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(at.UTC().Format(time.RFC3339Nano) + " " + id))
}

// place lets a filter begin where a cursor says.
func place(filter *queue.Filter, cursor string) error {
	if cursor == "" {
		return nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		at, id, _ := strings.Cut(string(text), " ")
		if filter.Before, err = time.Parse(time.RFC3339Nano, at); err == nil {
			_, err = uuid.Parse(id)
			filter.BeforeID = id
		}
	}
	if err != nil {
		return fault.Field("query.cursor", "must be a next_cursor from an earlier answer")
	}
	return nil
}
