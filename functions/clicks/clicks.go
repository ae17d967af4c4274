// Package clicks is the click beacon: a landing page tells of a click on an ad,
// and conversions that came before the news of it are credited anew. It serves
// POST /api/ml/attribution/track-click to anyone with a tenant's publishable key;
// a beacon that comes again with its click_id is the same click.
package clicks

import (
	"context"
	"net/http"
	"time"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.HTTP("clicks", build) }

// Limits is how much one caller may ask of one instance.
type Limits struct {
	// Proxies is how many proxies of our own stand in front, each of which adds
	// to X-Forwarded-For the address that it saw; with 0 the connection's counts.
	Proxies int `env:"TRUSTED_PROXIES, default=1"`
	// PerIP and PerKey are clicks a second; five seconds' worth may come at once.
	PerIP  float64 `env:"CLICKS_PER_SECOND_PER_IP, default=20"`
	PerKey float64 `env:"CLICKS_PER_SECOND_PER_KEY, default=200"`
}

type config struct {
	Postgres pg.Config
	Publish  publish.Config
	Limits   Limits
}

func build(ctx context.Context) (http.Handler, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, cfg.Postgres)
	if err != nil {
		return nil, err
	}
	return New(db, publish.New(cfg.Publish), cfg.Limits), nil
}

type function struct {
	db            *pg.DB
	queue         outbox.Publisher
	proxies       int
	perIP, perKey *limiter
}

// New returns the function's handler.
func New(db *pg.DB, queue outbox.Publisher, limits Limits) http.Handler {
	f := &function{
		db: db, queue: queue, proxies: limits.Proxies,
		perIP: newLimiter(limits.PerIP), perKey: newLimiter(limits.PerKey),
	}
	// A preflight does not say which key will come, so any origin may ask; the
	// request itself is refused where the key is not meant for its origin.
	api := serve.NewAPI(serve.Access{Origins: []string{"*"}, Credentials: true})
	api.Check("postgres", db.Ping)
	serve.Raw(api, "POST /api/ml/attribution/track-click", auth.Public, f.track,
		serve.MaxBody(maxBody),
		serve.Summary("Takes the news of a click on an ad."), describeBeacon)
	return api
}

// track reads, checks and records one click. What can be refused without the
// database is refused first.
func (f *function) track(w http.ResponseWriter, r *http.Request) error {
	now := time.Now().UTC()
	ip := clientIP(r, f.proxies)
	if err := f.perIP.take(network(ip), now); err != nil {
		return err
	}
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	key, err := publishableKey(r, body)
	if err != nil {
		return err
	}
	if err := f.perKey.take(key, now); err != nil {
		return err
	}
	b, err := parseBeacon(body, now)
	if err != nil {
		return err
	}
	b.fillFrom(r, ip)
	answer, err := f.record(r.Context(), key, r.Header.Get("Origin"), b)
	if err != nil {
		return err
	}
	serve.Note(r.Context(), "tenant", b.TenantID, "ad", b.AdID, "click", answer.ClickID)
	return writeJSON(w, answer)
}
