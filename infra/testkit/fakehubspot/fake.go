// Package fakehubspot is HubSpot in memory: the part of its API that we call,
// with its limits and its failures, and the signed webhooks that it sends when
// something changes. Tests change it through Go methods, people through
// /control/ (see control.go), and a local system finds it again in a file.
package fakehubspot

import (
	"net/http"
	"sync"
	"time"
)

// Options are all optional.
type Options struct {
	// File keeps the records and what is still to be delivered; "" keeps nothing.
	File string
	// Now is the clock that stamps changes.
	Now func() time.Time
	// HTTP sends the webhooks.
	HTTP *http.Client
	// Retries are the waits before each further try of a delivery that failed;
	// RealRetries unless set. An empty list that is not nil means one try.
	Retries []time.Duration
	// Timeout is how long the target may take to answer; 5 s, as HubSpot's.
	Timeout time.Duration
	// AssociationPage is the most associations in one answer, 100 unless set.
	AssociationPage int
	// HistoryLimit is how many values of a property are kept, 20 unless set.
	HistoryLimit int
}

// RealRetries is HubSpot's promise: up to ten tries more, spread over 24 hours.
var RealRetries = []time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour,
	2 * time.Hour, 3 * time.Hour, 4 * time.Hour, 5 * time.Hour, 8 * time.Hour,
}

// Fake is a whole HubSpot with its portals. It is an http.Handler and safe for
// concurrent use.
type Fake struct {
	opts Options
	mux  *http.ServeMux

	mu      sync.Mutex // guards everything below and all that portals hold
	state   state
	portals map[int64]*Portal
	faults  []*Fault
	counts  map[string]int
	rolling map[int64][]time.Time
	// searches are the times of each portal's searches within the last second.
	searches map[int64][]time.Time

	saving sync.Mutex    // one writer of the file at a time
	wake   chan struct{} // tells Run that there is something to deliver
}

// state is what the file keeps.
type state struct {
	NextID    int64              `json:"next_id"`
	NextEvent int64              `json:"next_event"`
	Portals   map[int64]*records `json:"portals"`
	Pending   []*pending         `json:"pending"`
}

// New returns a fake without portals: the one that o.File holds, where it exists.
func New(o Options) (*Fake, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{}
	}
	if o.Retries == nil {
		o.Retries = RealRetries
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.AssociationPage == 0 {
		o.AssociationPage = 100
	}
	if o.HistoryLimit == 0 {
		o.HistoryLimit = 20
	}
	f := &Fake{
		opts: o, counts: make(map[string]int), rolling: make(map[int64][]time.Time), searches: make(map[int64][]time.Time),
		portals: make(map[int64]*Portal),
		state:   state{NextID: 10_000_000_000, NextEvent: 500_000_000, Portals: make(map[int64]*records)},
		wake:    make(chan struct{}, 1),
	}
	if err := f.load(); err != nil {
		return nil, err
	}
	f.mux = f.routes()
	return f, nil
}

// Connect adds the portal with these settings; the file may have brought its records.
func (f *Fake) Connect(c PortalConfig) *Portal {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.portals[c.ID]
	if !ok {
		p = &Portal{fake: f, has: f.state.Portals[c.ID]}
		f.portals[c.ID] = p
	}
	if p.has == nil {
		p.has = &records{
			Deals: make(map[int64]*deal), Contacts: make(map[int64]*contact),
			MovedDeals: make(map[int64]int64), MovedContacts: make(map[int64]int64),
		}
		f.state.Portals[c.ID] = p.has
	}
	p.config = c.withDefaults()
	return p
}

// Portal returns the connected portal, nil where there is none.
func (f *Fake) Portal(id int64) *Portal {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.portals[id]
}

// Requests counts the requests so far of one route, such as
// "GET /crm/v3/objects/deals/{id}", or of all for "".
func (f *Fake) Requests(route string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if route != "" {
		return f.counts[route]
	}
	n := 0
	for _, c := range f.counts {
		n += c
	}
	return n
}

func (f *Fake) id() int64 {
	f.state.NextID += 7
	return f.state.NextID
}

// at is t, or now, to the millisecond: HubSpot keeps no more.
func (f *Fake) at(t time.Time) time.Time {
	if t.IsZero() {
		t = f.opts.Now()
	}
	return t.UTC().Truncate(time.Millisecond)
}
