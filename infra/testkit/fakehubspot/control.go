package fakehubspot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// controlHelp is what GET /control/ answers.
const controlHelp = `A HubSpot to play with. Every change here is saved and sends its signed webhook.

  P=http://HOST:PORT/control/portals/PORTAL

  GET  $P                                       its deals, contacts, pipelines, and what is still to be delivered
  POST $P/contacts            {"id": 0, "properties": {"hs_facebook_click_id": "...", "gv_click_id": "...",
  "first_conversion_date": "2026-11-20T10:00:00Z"}, "at": "..."}
                                                creates a contact, or changes the one of the id
  POST $P/contacts/ID/delete  {"erase": false}  erase: a privacy request, for good
  POST $P/contacts/ID/restore
  POST $P/contacts/ID/merge   {"merged": ID}
  POST $P/deals               {"name": "...", "stage": "...", "pipeline": "...", "amount": "1500.00", "currency": "USD", "contacts": [ID],
  "at": "..."}
  POST $P/deals/ID/stage      {"stage": "closedwon", "at": "..."}
  POST $P/deals/ID/amount     {"amount": "2500.00"}
  POST $P/deals/ID/properties {"properties": {"pipeline": "..."}, "at": "..."}
  POST $P/deals/ID/contacts   {"contact": ID, "primary": true, "remove": false}
  POST $P/deals/ID/merge      {"merged": ID, "fresh": false}
  POST $P/deals/ID/delete
  POST $P/deals/ID/restore
  POST $P/deliver             {"events": [...]}  sends these events (a redelivery, an old one) as they are
  POST /control/faults        {"path": "/crm/v3/objects/deals", "times": 3, "status": 429, "retry_after": "1"}
                                                also "delay" (nanoseconds), "drop", "truncate", "policy": "DAILY"
  DELETE /control/faults                        all is well again

"at" is RFC 3339 and may be left out for now. Every answer names the id and the events that were sent.
Stages of a new portal: appointmentscheduled, qualifiedtobuy, presentationscheduled, decisionmakerboughtin, contractsent, closedwon,
closedlost.
`

// command is the body of every change; each takes what it needs of it.
type command struct {
	ID         int64             `json:"id"`
	Name       string            `json:"name"`
	Stage      string            `json:"stage"`
	Pipeline   string            `json:"pipeline"`
	Amount     string            `json:"amount"`
	Currency   string            `json:"currency"`
	Contacts   []int64           `json:"contacts"`
	Contact    int64             `json:"contact"`
	Primary    bool              `json:"primary"`
	Remove     bool              `json:"remove"`
	Merged     int64             `json:"merged"`
	Fresh      bool              `json:"fresh"`
	Erase      bool              `json:"erase"`
	Properties map[string]string `json:"properties"`
	Events     []Event           `json:"events"`
	At         time.Time         `json:"at"`
}

// control adds the routes under /control/. They ask for no token: they are for
// the person at the machine, who has the state in a file anyway.
func (f *Fake) control(mux *http.ServeMux) {
	mux.HandleFunc("GET /control/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, controlHelp)
	})
	mux.HandleFunc("GET /control/portals/{portal}", f.show)
	mux.HandleFunc("POST /control/faults", f.addFault)
	mux.HandleFunc("DELETE /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		f.Heal()
		w.WriteHeader(http.StatusNoContent)
	})

	do := func(path string, change func(*Portal, command) (int64, []Event, error)) {
		mux.HandleFunc("POST /control/portals/{portal}/"+path, func(w http.ResponseWriter, r *http.Request) {
			f.change(w, r, func(p *Portal, _ int64, c command) (int64, []Event, error) { return change(p, c) })
		})
	}
	to := func(path string, change func(*Portal, int64, command) ([]Event, error)) {
		mux.HandleFunc("POST /control/portals/{portal}/"+path, func(w http.ResponseWriter, r *http.Request) {
			f.change(w, r, func(p *Portal, id int64, c command) (int64, []Event, error) {
				events, err := change(p, id, c)
				return id, events, err
			})
		})
	}
	do("deals", func(p *Portal, c command) (int64, []Event, error) {
		return p.CreateDeal(NewDeal{
			Name: c.Name, Stage: c.Stage, Pipeline: c.Pipeline, Amount: c.Amount, Currency: c.Currency,
			Contacts: c.Contacts, Primary: c.Primary, At: c.At,
		})
	})
	do("contacts", func(p *Portal, c command) (int64, []Event, error) { return p.UpsertContact(c.ID, c.Properties, c.At) })
	do("deliver", func(_ *Portal, c command) (int64, []Event, error) { return 0, c.Events, nil })
	to("deals/{id}/stage", func(p *Portal, id int64, c command) ([]Event, error) { return p.MoveStage(id, c.Stage, c.At) })
	to("deals/{id}/amount", func(p *Portal, id int64, c command) ([]Event, error) { return p.SetAmount(id, c.Amount) })
	to("deals/{id}/properties", func(p *Portal, id int64, c command) ([]Event, error) { return p.SetDeal(id, c.Properties, c.At) })
	to("deals/{id}/contacts", func(p *Portal, id int64, c command) ([]Event, error) {
		if c.Remove {
			return p.Dissociate(id, c.Contact)
		}
		return p.Associate(id, c.Contact, c.Primary)
	})
	to("deals/{id}/merge", func(p *Portal, id int64, c command) ([]Event, error) {
		_, events, err := p.MergeDeals(id, c.Merged, c.Fresh) // the event names the new id
		return events, err
	})
	to("deals/{id}/delete", func(p *Portal, id int64, _ command) ([]Event, error) { return p.DeleteDeal(id) })
	to("deals/{id}/restore", func(p *Portal, id int64, _ command) ([]Event, error) { return p.RestoreDeal(id) })
	to("contacts/{id}/delete", func(p *Portal, id int64, c command) ([]Event, error) {
		if c.Erase {
			return p.EraseContact(id)
		}
		return p.DeleteContact(id)
	})
	to("contacts/{id}/restore", func(p *Portal, id int64, _ command) ([]Event, error) { return p.RestoreContact(id) })
	to("contacts/{id}/merge", func(p *Portal, id int64, c command) ([]Event, error) { return p.MergeContacts(id, c.Merged) })
}

// change runs one change, saves, and leaves its events to Run.
func (f *Fake) change(w http.ResponseWriter, r *http.Request, change func(*Portal, int64, command) (int64, []Event, error)) {
	p := f.named(r)
	if p == nil {
		refuse(w, http.StatusNotFound, problem{"message": "no such portal"})
		return
	}
	var c command
	if err := decode(r, &c); err != nil {
		refuse(w, http.StatusBadRequest, problem{"message": err.Error()})
		return
	}
	record, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	id, events, err := change(p, record, c)
	if errors.Is(err, ErrNone) {
		refuse(w, http.StatusNotFound, problem{"message": err.Error()})
		return
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, problem{"message": err.Error()})
		return
	}
	p.Enqueue(events...)
	if err := f.Save(); err != nil {
		refuse(w, http.StatusInternalServerError, problem{"message": err.Error()})
		return
	}
	if events == nil {
		events = []Event{}
	}
	answer(w, http.StatusOK, map[string]any{"id": id, "events": events})
}

func (f *Fake) show(w http.ResponseWriter, r *http.Request) {
	p := f.named(r)
	if p == nil {
		refuse(w, http.StatusNotFound, problem{"message": "no such portal"})
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	waiting := []*pending{}
	for _, one := range f.state.Pending {
		if one.Portal == p.config.ID {
			waiting = append(waiting, one)
		}
	}
	answer(w, http.StatusOK, map[string]any{
		"id": p.config.ID, "home_currency": p.config.HomeCurrency, "pipelines": p.config.Pipelines, "target": p.config.Target,
		"deals": p.has.Deals, "contacts": p.has.Contacts, "pending": waiting,
	})
}

func (f *Fake) addFault(w http.ResponseWriter, r *http.Request) {
	var one Fault
	if err := decode(r, &one); err != nil {
		refuse(w, http.StatusBadRequest, problem{"message": err.Error()})
		return
	}
	f.Inject(one)
	answer(w, http.StatusOK, one)
}

func (f *Fake) named(r *http.Request) *Portal {
	id, _ := strconv.ParseInt(r.PathValue("portal"), 10, 64)
	return f.Portal(id)
}

// decode reads a body strictly, for a typing mistake should be seen; no body is
// an empty one.
func decode(r *http.Request, into any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("the body is not what is expected: %w", err)
	}
	return nil
}
