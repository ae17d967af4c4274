package digest

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/slack"
)

// perMessage is how many notices are read at a time; as many as fit become one message.
const perMessage = 40

// notices posts one message of the notices that wait and reports whether none is left.
func (f *function) notices(ctx context.Context, p *poster) (done bool, err error) {
	var all []notice.Waiting
	var names map[string]string
	err = pg.InTenant(ctx, f.db, p.TenantID, func(tx pgx.Tx) (err error) {
		if all, err = notice.ForSlack(ctx, tx, perMessage); err != nil {
			return err
		}
		names, err = adNames(ctx, tx, all)
		return err
	})
	if err != nil || len(all) == 0 {
		return true, err
	}
	groups := make([][]slack.Block, len(all))
	for i, n := range all {
		groups[i] = []slack.Block{said(n, names)}
	}
	fallback := all[0].Text
	if len(all) > 1 {
		fallback = fmt.Sprintf("%d notices: %s", len(all), all[0].Text)
	}
	m, n := slack.Pack(slack.Escape(fallback), groups)
	if err := p.post(ctx, m); err != nil {
		return false, err
	}
	ids := make([]string, n)
	for i := range ids {
		ids[i] = all[i].ID
	}
	return false, pg.InTenant(ctx, f.db, p.TenantID, func(tx pgx.Tx) error { return notice.SentToSlack(ctx, tx, ids) })
}

// maxName is how much of a name a line holds.
const maxName = 100

// said is a notice as a block: what kind, of which ad, and its words.
func said(n notice.Waiting, names map[string]string) slack.Block {
	title := strings.NewReplacer(".", " ", "_", " ").Replace(n.Kind)
	line := "*" + strings.ToUpper(title[:1]) + title[1:] + "*"
	if n.AdID != "" {
		name := n.AdID
		if names[n.AdID] != "" {
			name = names[n.AdID]
		}
		line += " " + slack.Name(name, maxName)
	}
	return slack.Section(line + "\n" + slack.Escape(n.Text))
}

// adNames returns the names of the ads that notices are about.
func adNames(ctx context.Context, tx pgx.Tx, all []notice.Waiting) (map[string]string, error) {
	var ids []string
	for _, n := range all {
		if n.AdID != "" {
			ids = append(ids, n.AdID)
		}
	}
	names := map[string]string{}
	if len(ids) == 0 {
		return names, nil
	}
	rows, _ := tx.Query(ctx, `SELECT ad_id, name FROM gv.ads WHERE tenant_id = gv.tenant() AND ad_id = ANY ($1)`, ids)
	var id, name string
	if _, err := pgx.ForEachRow(rows, []any{&id, &name}, func() error { names[id] = name; return nil }); err != nil {
		return nil, fmt.Errorf("read names of ads: %w", err)
	}
	return names, nil
}
