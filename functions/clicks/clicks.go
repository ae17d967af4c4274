// Package clicks is the click beacon: a landing page, or a tenant's server, reports
// a click on an ad, and conversions recorded before it are credited again. It serves
// POST /api/ml/attribution/track-click to anyone with a tenant's publishable or
// server key; a beacon that comes again with its click_id is the same click.
package clicks

import (
	"context"
	"net/http"
	"time"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fair"
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
	// to X-Forwarded-For the address that it saw; with 0 the connection's counts. Google's
	// load balancer adds two, the visitor's and its own: 2 behind it.
	Proxies int `env:"TRUSTED_PROXIES, default=1"`
	// PerIP and PerKey are clicks a second; five seconds' worth may come at once.
	PerIP  float64 `env:"CLICKS_PER_SECOND_PER_IP, default=20"`
	PerKey float64 `env:"CLICKS_PER_SECOND_PER_KEY, default=200"`
	// PerDay is how many clicks with publishable keys a tenant stores in a day (UTC); 0
	// is any number.
	PerDay int64 `env:"CLICKS_PER_DAY, default=250000"`
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
	hops          *hops
	perIP, perKey *limiter
	perDay        *daily
	owners        fair.Looks[keyed, *string]
}

// New returns the function's handler.
func New(db *pg.DB, queue outbox.Publisher, limits Limits) http.Handler {
	f := &function{
		db: db, queue: queue, hops: &hops{proxies: limits.Proxies},
		perIP: newLimiter(limits.PerIP), perKey: newLimiter(limits.PerKey), perDay: newDaily(db, limits.PerDay),
	}
	// A preflight does not say which key will come, so any origin may ask; the
	// request itself is refused where the key is not meant for its origin.
	api := serve.NewAPI(serve.Access{Origins: []string{"*"}, Credentials: true})
	api.Check("postgres", db.Ping)
	serve.Raw(api, "POST /api/ml/attribution/track-click", auth.Public, f.track,
		serve.MaxBody(maxBody),
		serve.Summary("Records a click on an ad."), describeBeacon)
	return api
}

// bodyDeadline is how long a body may take that must hold the key itself.
const bodyDeadline = 5 * time.Second

// track admits, reads, checks and records one click, in this order: a request
// whose key is not good costs no body, and a body that must bring its key costs no
// database connection while it is read.
func (f *function) track(w http.ResponseWriter, r *http.Request) error {
	now := time.Now().UTC()
	from := sender{ip: f.hops.ip(r, now), agent: r.UserAgent(), origin: r.Header.Get("Origin")}
	if err := f.perIP.take(network(from.ip), now); err != nil {
		return err
	}
	var err error
	if from.key, from.server, err = headerKey(r); err != nil {
		return err
	}
	var (
		body   map[string]any
		tenant string
	)
	if from.key != "" {
		if tenant, err = f.admit(r.Context(), from, now); err != nil {
			return err
		}
		if body, err = readBody(w, r, maxBody); err != nil {
			return err
		}
	} else {
		// A recorder in a test, or a server without deadlines, has none to set.
		_ = http.NewResponseController(w).SetReadDeadline(now.Add(bodyDeadline))
		if body, err = readBody(w, r, maxUnkeyed); err != nil {
			return err
		}
		if from.key, err = bodyKey(body); err != nil {
			return err
		}
		if tenant, err = f.admit(r.Context(), from, now); err != nil {
			return err
		}
	}
	p, err := parseBeacon(body, from, now)
	if err != nil {
		return err
	}
	if !from.server {
		if err := f.perDay.take(r.Context(), tenant, now); err != nil {
			return err
		}
	}
	answer, err := f.record(r.Context(), tenant, p)
	if err != nil {
		return err
	}
	serve.Note(r.Context(), "tenant", tenant, "ad", p.click.AdID, "click", answer.ClickID)
	return writeJSON(w, answer)
}
