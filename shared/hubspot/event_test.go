package hubspot_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
)

func parseOne(t *testing.T, body string) hubspot.Event {
	t.Helper()
	events, err := hubspot.ParseBatch([]byte("[" + body + "]"))
	if err != nil || len(events) != 1 {
		t.Fatalf("parse %s: %d events, %v", body, len(events), err)
	}
	return events[0]
}

func TestClassicAndGenericEventsReadTheSame(t *testing.T) {
	t.Parallel()
	want := hubspot.Event{
		PortalID: 33, Type: "deal.propertyChange", ObjectID: 138017612137, PropertyName: "dealstage", PropertyValue: "closedwon",
		EventID: 7, SubscriptionID: 5, OccurredAt: time.UnixMilli(1752613920733).UTC(), AttemptNumber: 2, ChangeSource: "CRM_UI",
	}
	for name, body := range map[string]string{
		"classic":          `{"portalId":33,"subscriptionType":"deal.propertyChange","objectId":138017612137,"propertyName":"dealstage","propertyValue":"closedwon","eventId":7,"subscriptionId":5,"occurredAt":1752613920733,"attemptNumber":2,"changeSource":"CRM_UI"}`,
		"generic":          `{"portalId":33,"subscriptionType":"object.propertyChange","objectTypeId":"0-3","objectId":138017612137,"propertyName":"dealstage","propertyValue":"closedwon","eventId":7,"subscriptionId":5,"occurredAt":1752613920733,"attemptNumber":2,"changeSource":"CRM_UI"}`,
		"eventType":        `{"portalId":33,"eventType":"deal.propertyChange","objectId":138017612137,"propertyName":"dealstage","propertyValue":"closedwon","eventId":7,"subscriptionId":5,"occurredAt":1752613920733,"attemptNumber":2,"changeSource":"CRM_UI"}`,
		"numbers as text":  `{"portalId":"33","subscriptionType":"deal.propertyChange","objectId":"138017612137","propertyName":"dealstage","propertyValue":"closedwon","eventId":"7","subscriptionId":"5","occurredAt":"1752613920733","attemptNumber":"2","changeSource":"CRM_UI"}`,
		"unknown members":  `{"portalId":33,"subscriptionType":"deal.propertyChange","objectId":138017612137,"propertyName":"dealstage","propertyValue":"closedwon","eventId":7,"subscriptionId":5,"occurredAt":1.752613920733e12,"attemptNumber":2,"changeSource":"CRM_UI","new":{"a":[1]},"mergedObjectIds":null,"newObjectId":null}`,
		"nonsense in rest": `{"portalId":33,"subscriptionType":"deal.propertyChange","objectId":138017612137,"propertyName":"dealstage","propertyValue":"closedwon","eventId":7,"subscriptionId":5,"occurredAt":1752613920733,"attemptNumber":2,"changeSource":"CRM_UI","fromObjectId":"x","isSensitive":7}`,
	} {
		if diff := cmp.Diff(want, parseOne(t, body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEventsNameTheRecordsTheyConcern(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body            string
		deals, contacts []int64
		erasure         bool
	}{
		{`"subscriptionType":"deal.creation","objectId":5`, []int64{5}, nil, false},
		{`"subscriptionType":"contact.propertyChange","propertyName":"hs_google_click_id","objectId":6`, nil, []int64{6}, false},
		{`"subscriptionType":"deal.merge","objectId":5,"primaryObjectId":5,"mergedObjectIds":[3,"2"],"newObjectId":9`, []int64{2, 3, 5, 9}, nil, false},
		{`"subscriptionType":"deal.merge","objectId":5,"primaryObjectId":5,"mergedObjectIds":3,"newObjectId":null`, []int64{3, 5}, nil, false},
		{`"subscriptionType":"object.merge","objectTypeId":"0-1","objectId":5,"primaryObjectId":5,"mergedObjectIds":[3]`, nil, []int64{3, 5}, false},
		{`"subscriptionType":"deal.associationChange","associationType":"DEAL_TO_CONTACT","fromObjectId":5,"toObjectId":6,"objectId":5,"isPrimaryAssociation":true`, []int64{5}, []int64{6}, false},
		{`"subscriptionType":"contact.associationChange","associationType":"CONTACT_TO_DEAL","fromObjectId":6,"toObjectId":5,"objectId":6`, []int64{5}, []int64{6}, false},
		{`"subscriptionType":"object.associationChange","fromObjectTypeId":"0-1","toObjectTypeId":"0-3","fromObjectId":6,"toObjectId":5`, []int64{5}, []int64{6}, false},
		{`"subscriptionType":"deal.associationChange","associationType":"DEAL_TO_COMPANY","fromObjectId":5,"toObjectId":6,"objectId":5`, []int64{5}, nil, false},
		{`"subscriptionType":"contact.privacyDeletion","objectId":6`, nil, []int64{6}, true},
		{`"subscriptionType":"contact.deletion","objectId":6`, nil, []int64{6}, false},
		{`"subscriptionType":"company.creation","objectId":6`, nil, nil, false},
		{`"subscriptionType":"object.creation","objectTypeId":"0-99","objectId":6`, nil, nil, false},
	} {
		e := parseOne(t, `{"portalId":1,"eventId":1,"occurredAt":1752613920733,`+c.body+`}`)
		if diff := cmp.Diff([]any{c.deals, c.contacts, c.erasure}, []any{e.Deals(), e.Contacts(), e.Erasure()}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.body, diff)
		}
		if err := e.Check(); err != nil {
			t.Errorf("%s: %v", c.body, err)
		}
	}
}

func TestWhatIsNoBatchIsRefused(t *testing.T) {
	t.Parallel()
	one := `{"portalId":1,"subscriptionType":"deal.creation"}`
	for name, body := range map[string]string{
		"nothing": "", "null": "null", "an object": one, "half": "[" + one, "a number": "[7]", "null inside": "[null]",
		"101 events": "[" + strings.Repeat(one+",", 100) + one + "]",
		"no portal":  `[{"subscriptionType":"deal.creation"}]`,
		"no type":    `[{"portalId":1}]`,
	} {
		if _, err := hubspot.ParseBatch([]byte(body)); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: got %v, want an Invalid fault", name, err)
		}
	}
	// A stranger's body costs no more than its bytes: neither depth nor count is paid for.
	for name, body := range map[string]string{
		"deep arrays":          strings.Repeat("[", 10<<20),
		"deep objects":         strings.Repeat(`[{"a":`, 2<<20),
		"deep members":         `[{"portalId":1,"subscriptionType":"deal.creation","a":` + strings.Repeat("[", 5<<20) + strings.Repeat("]", 5<<20) + `}]`,
		"three million events": "[" + strings.Repeat("{},", 3<<20) + "{}]",
		"many events":          "[" + strings.Repeat(one+",", 100_000) + one + "]",
	} {
		if _, err := hubspot.ParseBatch([]byte(body)); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: got %v, want an Invalid fault", name, err)
		}
	}
	if events, err := hubspot.ParseBatch([]byte("[" + strings.Repeat(one+",", 99) + one + "]")); err != nil || len(events) != 100 {
		t.Errorf("100 events: got %d, %v", len(events), err)
	}
}

func TestTheKeyIgnoresTheAttemptAndTellsApartTheRest(t *testing.T) {
	t.Parallel()
	base := hubspot.Event{PortalID: 1, Type: "deal.propertyChange", ObjectID: 2, PropertyName: "amount", EventID: 3, OccurredAt: time.UnixMilli(4)}
	again := base
	again.AttemptNumber, again.SubscriptionID = 9, 9
	if base.Key() != again.Key() {
		t.Errorf("a redelivery has key %s, the first %s", again.Key(), base.Key())
	}
	seen := map[string]bool{base.Key(): true}
	for _, change := range []func(*hubspot.Event){
		func(e *hubspot.Event) { e.PortalID = 9 },
		func(e *hubspot.Event) { e.Type = "deal.creation" },
		func(e *hubspot.Event) { e.ObjectID = 9 },
		func(e *hubspot.Event) { e.PropertyName = "dealstage" },
		func(e *hubspot.Event) { e.PropertyName = `amount"|3|4` },
		func(e *hubspot.Event) { e.EventID = 9 },
		func(e *hubspot.Event) { e.OccurredAt = time.UnixMilli(9) },
	} {
		other := base
		change(&other)
		if seen[other.Key()] {
			t.Errorf("%+v shares a key", other)
		}
		seen[other.Key()] = true
	}
}

func TestTwoEventsWithOneIDAndTimeHaveTwoKeys(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(4)
	association := hubspot.Event{
		PortalID: 1, Type: "deal.associationChange", ObjectID: 2, EventID: 3, OccurredAt: at,
		FromObjectID: 2, ToObjectID: 7, AssociationType: "DEAL_TO_CONTACT",
	}
	merge := hubspot.Event{PortalID: 1, Type: "deal.merge", ObjectID: 2, EventID: 3, OccurredAt: at, PrimaryObjectID: 2, MergedObjectIDs: []int64{5}, NewObjectID: 2}
	stage := hubspot.Event{PortalID: 1, Type: "deal.propertyChange", ObjectID: 2, PropertyName: "dealstage", PropertyValue: "closedwon", EventID: 3, OccurredAt: at}
	secret := hubspot.Event{PortalID: 1, Type: "contact.propertyChange", ObjectID: 2, PropertyName: "email", PropertyValue: "ana@example.com", EventID: 3, OccurredAt: at}
	for _, c := range []struct {
		base   hubspot.Event
		change func(*hubspot.Event)
		same   bool
	}{
		{association, func(e *hubspot.Event) { e.ToObjectID = 8 }, false},
		{association, func(e *hubspot.Event) { e.FromObjectID = 8 }, false},
		{association, func(e *hubspot.Event) { e.AssociationType = "DEAL_TO_COMPANY" }, false},
		{association, func(e *hubspot.Event) { e.AssociationRemoved = true }, false},
		{association, func(e *hubspot.Event) { e.PrimaryAssociation = true }, false},
		{merge, func(e *hubspot.Event) { e.MergedObjectIDs = []int64{6} }, false},
		{merge, func(e *hubspot.Event) { e.NewObjectID = 6 }, false},
		{stage, func(e *hubspot.Event) { e.PropertyValue = "closedlost" }, false},
		{secret, func(e *hubspot.Event) { e.PropertyValue = "bo@example.com" }, true}, // what no message carries is in no key
	} {
		other := c.base
		c.change(&other)
		if (other.Key() == c.base.Key()) != c.same {
			t.Errorf("keys %s and %s, want the same %v", c.base.Key(), other.Key(), c.same)
		}
		data := other.Message()
		if back, err := hubspot.ParseMessage(data); err != nil || back.Key() != other.Key() {
			t.Errorf("as a message the key is %s, want %s (%v)", back.Key(), other.Key(), err)
		}
	}
}

func TestMessagesCarryNoPersonalData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, property, extra, want string }{
		{"deal.propertyChange", "dealstage", "", "VALUE"},
		{"deal.propertyChange", "amount", "", "VALUE"},
		{"deal.propertyChange", "dealname", "", ""},
		{"deal.propertyChange", "amount", `,"isSensitive":true`, ""},
		{"contact.propertyChange", "email", "", ""},
		{"contact.propertyChange", "amount", "", ""},
		{"company.propertyChange", "amount", "", ""},
	} {
		e := parseOne(t, fmt.Sprintf(`{"portalId":1,"subscriptionType":%q,"propertyName":%q,"propertyValue":"VALUE","objectId":2,"occurredAt":5,"sourceId":"userId:76023669","attemptNumber":3%s}`, c.kind, c.property, c.extra))
		raw := e.Message()
		back, err := hubspot.ParseMessage(raw)
		if err != nil || back.PropertyValue != c.want || back.Key() != e.Key() {
			t.Errorf("%s %s: value %q, key %s, error %v; want %q, %s", c.kind, c.property, back.PropertyValue, back.Key(), err, c.want, e.Key())
		}
		if s := string(raw); c.want == "" && strings.Contains(s, "VALUE") || strings.Contains(s, "76023669") || strings.Contains(s, "attempt") {
			t.Errorf("%s %s: the message is %s", c.kind, c.property, s)
		}
	}
	if _, err := hubspot.ParseMessage([]byte(`{"portalId":1}`)); fault.Of(err) != fault.Invalid {
		t.Errorf("a message without a type: %v", err)
	}
}

func TestAnEventThatCanNeverBeProcessedSaysWhy(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"portalId":1,"subscriptionType":"deal.creation","occurredAt":5}`,
		`{"portalId":1,"subscriptionType":"deal.creation","objectId":"x","occurredAt":5}`,
		`{"portalId":1,"subscriptionType":"deal.creation","objectId":7}`,
		`{"portalId":1,"subscriptionType":"deal.creation","objectId":7,"occurredAt":9223372036854775807}`,
	} {
		if err := parseOne(t, body).Check(); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: got %v, want an Invalid fault", body, err)
		}
	}
}

func FuzzWhatParsesSurvivesAMessage(f *testing.F) {
	f.Add([]byte(docsBody))
	f.Add([]byte(`[{"portalId":"1","eventType":"object.merge","objectTypeId":"0-3","mergedObjectIds":["2",3],"occurredAt":1e12}]`))
	f.Add([]byte(`[{"portalId":1,"subscriptionType":"deal.propertyChange","propertyName":"amount","propertyValue":12.5}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := hubspot.ParseBatch(body)
		if err != nil {
			return
		}
		for _, e := range events {
			raw := e.Message()
			if !json.Valid(raw) {
				t.Fatalf("message of %+v: %s", e, raw)
			}
			back, err := hubspot.ParseMessage(raw)
			if err != nil && len(e.Type) > 200 && fault.Of(err) == fault.Invalid {
				continue
			}
			if err != nil {
				t.Fatalf("parse %s: %v", raw, err)
			}
			if diff := cmp.Diff(e.Redacted(), back); diff != "" || back.Key() != e.Key() {
				t.Fatalf("(-want +got):\n%s", diff)
			}
		}
	})
}

func TestAKeyFitsAMessagesAttributeAndStillTellsEventsApart(t *testing.T) {
	t.Parallel()
	const most = 1024 // Pub/Sub's limit for an attribute's value
	seen := map[string]bool{}
	for _, n := range []int{10, 400, 600, 1020, 5000} {
		for _, e := range []hubspot.Event{
			{PortalID: 1, Type: "deal." + strings.Repeat("x", n), ObjectID: 5, EventID: 1},
			{PortalID: 1, Type: hubspot.DealPropertyChange, PropertyName: strings.Repeat("\u00e9", n), ObjectID: 5, EventID: 1},
			{PortalID: 1, Type: hubspot.ContactAssociation, AssociationType: strings.Repeat("\x01", n), ObjectID: 5, EventID: 1},
		} {
			key := e.Key()
			if len(key) > most || key == "" || seen[key] {
				t.Errorf("a type of %d letters has a key of %d bytes, seen before: %v", n, len(key), seen[key])
			}
			seen[key] = true
		}
	}
}
