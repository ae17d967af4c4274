package direct

import (
	"context"
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/director"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
)

type listInput struct {
	AccountID string `query:"account_id" maxLength:"256" doc:"Only this account's."`
	Kind      string `query:"kind" enum:"battle_plan,fix_plan"`
	VideoID   string `query:"video_id" maxLength:"256" doc:"Only this video's."`
	AdID      string `query:"ad_id" maxLength:"256" doc:"Only replacements of this ad."`
	Limit     int    `query:"limit" default:"50" minimum:"1" maximum:"200"`
	Cursor    string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
}

type listOutput struct {
	Body struct {
		Plans      []director.Summary `json:"plans" nullable:"false"`
		NextCursor string             `json:"next_cursor,omitempty" doc:"Absent on the last page."`
	}
}

func (f *function) list(ctx context.Context, in *listInput) (*listOutput, error) {
	// one more tells whether there is a next page
	filter := director.Filter{AccountID: in.AccountID, Kind: in.Kind, VideoID: in.VideoID, AdID: in.AdID, Limit: in.Limit + 1}
	var err error
	if filter.AfterTime, filter.AfterID, err = position(in.Cursor); err != nil {
		return nil, err
	}
	for field, text := range map[string]string{"query.account_id": in.AccountID, "query.video_id": in.VideoID, "query.ad_id": in.AdID} {
		if err := storable(field, text); err != nil {
			return nil, err
		}
	}
	out := &listOutput{}
	err = pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		out.Body.Plans, err = director.NewStore(tx).List(ctx, filter)
		return err
	})
	if err != nil {
		return nil, err
	}
	if all := out.Body.Plans; len(all) > in.Limit {
		last := all[in.Limit-1]
		out.Body.Plans, out.Body.NextCursor = all[:in.Limit], cursor(last.CreatedAt, last.PlanID)
	}
	return out, nil
}

type oneInput struct {
	ID string `path:"id" format:"uuid"`
}

type planOutput struct{ Body director.Plan }

func (f *function) show(ctx context.Context, in *oneInput) (*planOutput, error) {
	out := &planOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		out.Body, err = director.NewStore(tx).Get(ctx, in.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// cursor names a place in a list.
func cursor(at time.Time, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(at.UTC().Format(time.RFC3339Nano) + " " + id))
}

// position reads a cursor; an empty one is the list's beginning.
func position(cursor string) (at time.Time, id string, err error) {
	if cursor == "" {
		return at, "", nil
	}
	no := fault.Field("query.cursor", "must be a next_cursor from an earlier answer")
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return at, "", no
	}
	when, id, _ := strings.Cut(string(text), " ")
	if at, err = time.Parse(time.RFC3339Nano, when); err != nil || at.Year() > 9999 || uuid.Validate(id) != nil {
		return at, "", no
	}
	return at, id, nil
}

// storable refuses what the database cannot hold in a text.
func storable(field, text string) error {
	if strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
		return fault.Field(field, "must be valid UTF-8 text without the character U+0000")
	}
	return nil
}
