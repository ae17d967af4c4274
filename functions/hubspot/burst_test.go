package hubspot_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/hubspot"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// counting counts messages from many senders at once.
type counting struct{ n atomic.Int64 }

func (c *counting) Publish(_ context.Context, messages ...message.Message) error {
	c.n.Add(int64(len(messages)))
	return nil
}

// Many batches share one look at the database, and still a portal that is disconnected is
// refused, and one that is connected again is taken, while the burst goes on.
func TestInABurstADisconnectedPortalIsRefusedAndAConnectedOneTakenAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	app, err := pg.Open(t.Context(), pg.Config{URL: f.db.AppURL, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	sent := &counting{}
	f.handler = serve.Wrap("hubspot", hubspot.New(app, sent, secrets.Default(), publicURL, ownApp))
	body := batch(3, 2)
	post := func() int { return f.post(body, signed(ownApp, body, time.Now())).Code }

	stop := make(chan struct{})
	var burst sync.WaitGroup
	var taken atomic.Int64
	for range 4 {
		burst.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				switch code := post(); code {
				case http.StatusOK:
					taken.Add(2)
				case http.StatusUnauthorized:
				default:
					t.Errorf("a batch of the burst: %d", code)
				}
			}
		})
	}
	admin := f.db.Admin(t)
	for range 3 {
		if code := post(); code != http.StatusOK {
			t.Errorf("while it is connected: %d", code)
		} else {
			taken.Add(2)
		}
		if _, err := admin.Exec(t.Context(), `UPDATE gv.hubspot_connections SET disconnected_at = now() WHERE portal_id = 3`); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // the oldest look that a batch of a burst goes by
		if code := post(); code != http.StatusUnauthorized {
			t.Errorf("once it is disconnected: %d", code)
		}
		if _, err := admin.Exec(t.Context(), `UPDATE gv.hubspot_connections SET disconnected_at = NULL WHERE portal_id = 3`); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	burst.Wait()
	if sent.n.Load() != taken.Load() {
		t.Errorf("%d events were acknowledged and %d queued", taken.Load(), sent.n.Load())
	}
}

// Without others a batch sees what was committed before it came.
func TestABatchThatComesAloneSeesAPortalThatWasDisconnectedJustBefore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := batch(3, 1)
	for _, c := range []struct {
		sql  string
		want int
	}{
		{`SELECT 1`, http.StatusOK},
		{`UPDATE gv.hubspot_connections SET disconnected_at = now() WHERE portal_id = 3`, http.StatusUnauthorized},
		{`UPDATE gv.hubspot_connections SET disconnected_at = NULL WHERE portal_id = 3`, http.StatusOK},
	} {
		if _, err := f.db.Admin(t).Exec(t.Context(), c.sql); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // longer than the gap within which batches are a burst
		if w := f.post(body, signed(ownApp, body, time.Now())); w.Code != c.want {
			t.Errorf("after %s: %d %s, want %d", c.sql, w.Code, w.Body, c.want)
		}
	}
}
