// Package dealsync brings the deal ledger in line with the CRM: it reads the deals
// that an event, a backfill or a reconcile names, and records what the CRM says
// of them, their contacts and the ad they are credited to. What it records depends
// on the CRM's state alone, so repeating a call, or making calls in another order,
// ends in the same ledger.
package dealsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/dealsource"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/hubspotconn"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/leads"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// Config is how HubSpot's API is reached.
type Config struct {
	URL string `env:"HUBSPOT_API_URL, default=https://api.hubapi.com"`
	// PerTenSeconds is each portal's budget of requests in this process.
	PerTenSeconds int `env:"HUBSPOT_REQUESTS_PER_10S, default=90"`
}

// consumer is the inbox's name for the messages of Topic.
const consumer = "crmevent"

// Topic is the queue of HubSpot's events and of deals to be credited again.
const Topic = "crm-events"

// Processor records what the CRM says of deals. It is safe for concurrent use.
type Processor struct {
	db     *pg.DB
	queue  outbox.Publisher
	vault  *secrets.Store
	api    Config
	limits *hubspot.Limits

	mu          sync.Mutex
	connections map[int64]cachedConnection
}

// New returns a processor on db; queue sends what the recorded deals lead to.
func New(db *pg.DB, queue outbox.Publisher, vault *secrets.Store, api Config) *Processor {
	return &Processor{
		db: db, queue: queue, vault: vault, api: api,
		limits: hubspot.NewLimits(api.PerTenSeconds), connections: map[int64]cachedConnection{},
	}
}

// Handle does one message's work.
func (p *Processor) Handle(ctx context.Context, m message.Message) error {
	var own struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(m.Data, &own); err == nil {
		switch own.Kind {
		case "attribute":
			return p.creditAgain(ctx, m)
		case dealsource.Kind:
			return p.recordReport(ctx, m)
		case ledger.ModelKind:
			return p.creditAccount(ctx, m)
		case ads.KnownKind:
			return p.creditClicksOf(ctx, m)
		}
	}
	e, err := hubspot.ParseMessage(m.Data)
	if err != nil {
		return err
	}
	if err := e.Check(); err != nil {
		return err
	}
	serve.Note(ctx, "portal", e.PortalID, "event", e.Type, "object", e.ObjectID)
	c, err := p.connection(ctx, e.PortalID)
	if err != nil {
		return err
	}
	if tenant := m.Tenant(); tenant != "" && tenant != c.TenantID {
		return fault.Conflictf("portal %d belongs to another tenant than the message says", e.PortalID)
	}
	w := &work{Processor: p, connection: c, event: e, key: e.Key(), subject: e.Subject(), stored: m.PublishedAt}
	return w.do(ctx)
}

// connection returns the portal's connection, cached for connectionTTL: a burst of
// events is of few portals.
func (p *Processor) connection(ctx context.Context, id int64) (hubspotconn.Connection, error) {
	p.mu.Lock()
	held, ok := p.connections[id]
	p.mu.Unlock()
	if ok && time.Since(held.at) < connectionTTL {
		return held.Connection, nil
	}
	found, err := hubspotconn.Find(ctx, p.db, id)
	if err != nil {
		return hubspotconn.Connection{}, err
	}
	c, ok := found[id]
	if !ok {
		return c, fault.NotFoundf("portal %d is not connected to any tenant", id)
	}
	p.mu.Lock()
	p.connections[id] = cachedConnection{c, time.Now()}
	p.mu.Unlock()
	return c, nil
}

const connectionTTL = 10 * time.Second

type cachedConnection struct {
	hubspotconn.Connection
	at time.Time
}

// work is the handling of one of HubSpot's events.
type work struct {
	*Processor
	connection hubspotconn.Connection
	event      hubspot.Event
	key        string
	subject    string
	client     *hubspot.Client
	needsFlush bool      // the outbox holds a message to be sent
	stored     time.Time // when the queue stored the event
	recorded   *recorded // of the event's deals, where it was read already and not yet used

	// batch are the deals to be read where there is no event; found is what differed.
	batch []int64
	found Differences
}

func (w *work) do(ctx context.Context) error {
	done, erased, err := w.isDone(ctx)
	if err != nil || done {
		return err
	}
	switch {
	case w.event.Erasure():
		err = w.erase(ctx, w.event.ObjectID)
	case len(erased) > 0:
		// Contacts that were merged are one person: who is erased is so under every id.
		err = w.erase(ctx, w.event.Contacts()...)
	default:
		err = w.refresh(ctx)
		w.watch(ctx, err)
	}
	if err == nil {
		telemetry.LedgerLag(ctx, "hubspot", w.stored)
	}
	if err == nil && w.needsFlush {
		outbox.Flush(ctx, w.db, w.connection.TenantID, w.queue)
	}
	return err
}

// watch keeps with the connection whether HubSpot takes it, for its admin to see.
func (w *work) watch(ctx context.Context, err error) {
	var refused *fault.Error
	switch {
	case errors.Is(err, hubspot.ErrRefused) && errors.As(err, &refused):
		err = hubspotconn.Refused(ctx, w.db, w.connection, refused.Message)
	case err == nil && w.connection.LastError != nil && w.client != nil: // it was asked, then
		err = hubspotconn.Works(ctx, w.db, w.connection)
	default:
		return
	}
	w.mu.Lock()
	delete(w.connections, w.event.PortalID) // it says something else now
	w.mu.Unlock()
	if err != nil {
		slog.WarnContext(ctx, "the state of a HubSpot connection could not be recorded", "portal", w.event.PortalID, "error", err.Error())
	}
}

// isDone reports whether there is nothing to do: the event was handled, or it is
// about a contact whose data was erased and must not come back. Of a merge of
// contacts it returns those that were erased. What is recorded of the deals of an event
// that names no contact is read in the same trip.
func (w *work) isDone(ctx context.Context) (done bool, erased []int64, err error) {
	merge := w.event.Type == hubspot.ContactMerge
	err = w.in(ctx, func(tx pgx.Tx) error {
		batch, store := &pgx.Batch{}, ledger.NewStore(tx, w.event.PortalID)
		inbox.QueueSeen(ctx, batch, consumer, w.key, &done)
		if (w.subject != "" || merge) && !w.event.Erasure() {
			store.QueueErased(batch, w.event.Contacts(), &erased)
		}
		if len(w.event.Contacts()) == 0 {
			w.recorded = queueRecorded(batch, store, w.event.Deals())
		}
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("look up event %s and what is recorded of it: %w", w.key, err)
		}
		return nil
	})
	return done || len(erased) > 0 && !merge, erased, err
}

func (w *work) in(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return pg.InTenant(ctx, w.db, w.connection.TenantID, fn)
}

// crm returns the client of the event's portal.
func (w *work) crm() (*hubspot.Client, error) {
	if w.client != nil {
		return w.client, nil
	}
	name := w.connection.AccessToken
	client, err := hubspot.New(hubspot.Options{
		Portal:       w.event.PortalID,
		Token:        func(ctx context.Context) (string, error) { return w.vault.Get(ctx, name) },
		Forget:       func() { w.vault.Forget(name) },
		HomeCurrency: money.Currency(w.connection.Currency),
		BaseURL:      w.api.URL,
		Limits:       w.limits,
		LeadProperty: w.connection.LeadProperty,
		People:       w.people(),
	})
	if err != nil {
		return nil, fmt.Errorf("open portal %d: %w", w.event.PortalID, err)
	}
	w.client = client
	return client, nil
}

// people returns what hashes contacts' addresses, nil where the tenant reads no lead forms.
func (w *work) people() func(context.Context) (func(kind, text string) string, error) {
	if w.connection.LeadKey == nil {
		return nil
	}
	name := *w.connection.LeadKey
	return func(ctx context.Context) (func(kind, text string) string, error) {
		key, err := w.vault.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		return func(kind, text string) string {
			if kind == "email" {
				return leads.Email(key, text)
			}
			return leads.Phone(key, text)
		}, nil
	}
}

// errStale says that somebody else recorded a deal since the CRM was read.
var errStale = errors.New("the deal changed since the CRM was read")

// maxReads bounds how often the CRM is read for one event. Each further reading
// means that another event of the same deal went through meanwhile.
const maxReads = 8

// refresh reads the deals that the event is about and records what the CRM says.
// Between reading and recording nothing is locked: whoever finds that another
// has recorded meanwhile reads again, so the last to record has seen the latest.
func (w *work) refresh(ctx context.Context) error {
	for range maxReads {
		err := w.refreshOnce(ctx)
		if !errors.Is(err, errStale) {
			return err
		}
	}
	return &fault.Error{
		Kind: fault.Unavailable, Message: fmt.Sprintf("deals of portal %d change faster than they can be read", w.event.PortalID),
		Cause: errStale, RetryAfter: time.Second,
	}
}
