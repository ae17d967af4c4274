package winners

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/winners/figures"
)

// astray lists the codes that are not those of the active winners.
const astray = `
	SELECT coalesce(w.ad_id, c.ad_id) || ' ' || coalesce(w.model, c.model)
	FROM  (SELECT * FROM gv.winners WHERE active) AS w
	FULL   JOIN gv.winner_codes c USING (tenant_id, ad_id, model)
	WHERE  w.ad_id IS NULL OR c.ad_id IS NULL OR w.ctr <> c.ctr OR c.code <> gv.winner_code(w.embedding)
	ORDER  BY 1`

func strays(t *testing.T, db database) []string {
	t.Helper()
	rows, _ := db.admin.Query(t.Context(), astray)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCodesFollowTheWinnersWhateverWritesThem(t *testing.T) {
	t.Parallel()
	db := open(t)
	random := rand.New(rand.NewPCG(11, 11))
	ad := func() string { return fmt.Sprint("ad-", random.IntN(12)) }
	admin := func(sql string, args ...any) error {
		_, err := db.admin.Exec(t.Context(), sql, args...)
		return err
	}
	moves := []struct {
		name string
		do   func(s Store) error
	}{
		{"put", func(s Store) error {
			m := memory(t, ad(), fmt.Sprintf(`{"hook_type":"w%d"}`, random.IntN(5)))
			m.Active, m.CTR = random.IntN(3) > 0, float64(random.IntN(5))/100
			if random.IntN(3) == 0 {
				m.Model = "second"
			}
			_, err := s.Put(t.Context(), m)
			return err
		}},
		{"forget", func(s Store) error { return s.Forget(t.Context(), ad()) }},
		{"correct", func(s Store) error {
			ctr := float64(random.IntN(5)) / 100
			return figures.Correct(t.Context(), s.tx, []figures.Ad{{AdID: ad(), IsWinner: random.IntN(3) > 0, ROAS: 3, CTR: &ctr}, {AdID: ad(), IsWinner: true, ROAS: 5}})
		}},
		{"level", func(s Store) error { return s.Level(t.Context(), embed.LocalModel, "second") }},
		{"copy", func(s Store) error {
			lacking, err := s.Lacking(t.Context(), embed.LocalModel, "second", 3)
			all := make([]Embedded, len(lacking))
			for i, l := range lacking {
				all[i] = Embedded{l, vector(t, l.Text+" again")}
			}
			if err != nil {
				return err
			}
			return s.Copy(t.Context(), embed.LocalModel, "second", all)
		}},
		{"clear", func(s Store) error {
			if _, err := s.Hold(t.Context(), embed.LocalModel); err != nil {
				return err
			}
			_, err := s.Clear(t.Context(), 2)
			return err
		}},
		{"the vector alone", func(Store) error {
			return admin(`UPDATE gv.winners SET embedding = $1::text::extensions.vector WHERE ad_id = $2`, vectorText(vector(t, words(random))), ad())
		}},
		{"a new name", func(Store) error {
			return admin(`UPDATE gv.winners w SET ad_id = $2 WHERE ad_id = $1 AND NOT EXISTS (SELECT FROM gv.winners WHERE ad_id = $2)`, ad(), ad())
		}},
		{"delete", func(Store) error { return admin(`DELETE FROM gv.winners WHERE ad_id = $1`, ad()) }},
	}
	for i := range 150 {
		move := moves[0]
		if i%2 == 1 {
			move = moves[random.IntN(len(moves))]
		}
		in(t, db, tenantA, move.do)
		if wrong := strays(t, db); len(wrong) > 0 {
			t.Fatalf("after move %d, %s, codes are astray: %v", i, move.name, wrong)
		}
	}
}

// While everything is embedded with another model, searches use the first one, and
// never compare vectors of the two.
func TestSearchesGoOnWhileTheModelChanges(t *testing.T) {
	t.Parallel()
	db := open(t)
	const size = 400
	fill(t, db, tenantA, size, 1)
	trust(t, db, embed.LocalModel)
	trust(t, db, "second")
	in(t, db, tenantA, func(s Store) error {
		_, err := s.Hold(t.Context(), embed.LocalModel)
		if err == nil {
			_, err = s.Models(t.Context(), "second")
		}
		return err
	})
	changed := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { changed <- changeModel(ctx, db) }()
	var done error
	for searched, over := 0, false; !over || searched < 20; searched++ {
		select {
		case done = <-changed:
			over = true
		default:
		}
		in(t, db, tenantA, func(s Store) error {
			m, err := s.Models(t.Context(), "second")
			if err != nil {
				return err
			}
			s.exactUpTo = 0
			result, err := s.Search(t.Context(), Query{Model: m.Active, Vector: vector(t, "w1 w2 w3"), K: 10})
			if err == nil && (result.Total != size || len(result.Matches) != 10) {
				t.Errorf("with %s: %d of %d found", m.Active, len(result.Matches), result.Total)
			}
			return err
		})
	}
	if done != nil {
		t.Fatal(done)
	}
	if wrong := strays(t, db); len(wrong) > 0 {
		t.Errorf("codes are astray: %v", wrong)
	}
	var first int
	if err := db.admin.QueryRow(t.Context(), `SELECT count(*) FROM gv.winner_codes WHERE model = $1`, embed.LocalModel).Scan(&first); err != nil || first != 0 {
		t.Errorf("%d codes of the old model are left: %v", first, err)
	}
}

// changeModel embeds everything with the second model, changes to it and removes the rest.
func changeModel(ctx context.Context, db database) error {
	m := Models{Active: embed.LocalModel, Target: "second"}
	inTenant := func(fn func(s Store) (bool, error)) error {
		for {
			var over bool
			err := pg.InTenant(ctx, db.DB, tenantA, func(tx pgx.Tx) (err error) {
				over, err = fn(NewStore(tx))
				return err
			})
			if err != nil || over {
				return err
			}
		}
	}
	err := inTenant(func(s Store) (bool, error) {
		lacking, err := s.Lacking(ctx, m.Active, m.Target, 50)
		if err != nil || len(lacking) == 0 {
			return true, err
		}
		all := make([]Embedded, len(lacking))
		for i, l := range lacking {
			v, err := embed.Local{}.Query(ctx, l.Text+" again")
			if err != nil {
				return true, err
			}
			all[i] = Embedded{l, v}
		}
		return false, s.Copy(ctx, m.Active, m.Target, all)
	})
	if err != nil {
		return err
	}
	if err := inTenant(func(s Store) (bool, error) { return s.Switch(ctx, m, 0) }); err != nil {
		return err
	}
	return inTenant(func(s Store) (bool, error) {
		n, err := s.Clear(ctx, 100)
		return n == 0, err
	})
}
