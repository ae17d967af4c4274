// Package hubspot_test holds the app's project folder against what the code reads.
package hubspot_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/shared/hubspot"
)

type subscription struct {
	SubscriptionType string
	PropertyName     string
	Active           bool
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestTheAppSubscribesToEachEventThatIsHandled(t *testing.T) {
	t.Parallel()
	var file struct {
		Config struct {
			Settings      struct{ TargetURL string }
			Subscriptions struct{ LegacyCRMObjects, HubEvents []subscription }
		}
	}
	read(t, "src/app/webhooks/webhooks-hsmeta.json", &file)
	if !strings.HasSuffix(file.Config.Settings.TargetURL, "/webhooks/hubspot") {
		t.Errorf("it calls %s", file.Config.Settings.TargetURL)
	}
	all := slices.Concat(file.Config.Subscriptions.LegacyCRMObjects, file.Config.Subscriptions.HubEvents)
	var events []map[string]any
	for i, s := range all {
		if !s.Active || strings.HasSuffix(s.SubscriptionType, "propertyChange") != (s.PropertyName != "") {
			t.Errorf("%+v", s)
		}
		if slices.Index(all, s) != i {
			t.Errorf("%+v is there twice", s)
		}
		events = append(events, map[string]any{
			"subscriptionType": s.SubscriptionType, "propertyName": s.PropertyName, "portalId": 1, "objectId": 7, "eventId": i,
			"occurredAt": 1752613920733, "primaryObjectId": 8, "associationType": "DEAL_TO_CONTACT", "fromObjectId": 7, "toObjectId": 9,
		})
	}
	// Each event, as HubSpot sends it, concerns a deal or a contact.
	body, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := hubspot.ParseBatch(body)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, e := range parsed {
		if err := e.Check(); err != nil || len(e.Deals())+len(e.Contacts()) == 0 {
			t.Errorf("%s concerns nobody: %v", e.Type, err)
		}
		types = append(types, e.Type)
	}
	for _, want := range []string{
		hubspot.DealPropertyChange, hubspot.DealMerge, hubspot.DealAssociationChange,
		hubspot.ContactMerge, hubspot.ContactDeletion, hubspot.ContactErasure, hubspot.ContactAssociation,
	} {
		if !slices.Contains(types, want) {
			t.Errorf("the app does not subscribe to %s", want)
		}
	}
}

func TestTheAppAsksForTheScopesOfItsCalls(t *testing.T) {
	t.Parallel()
	var file struct {
		Config struct {
			Auth struct{ RequiredScopes []string }
		}
	}
	read(t, "src/app/app-hsmeta.json", &file)
	for _, want := range []string{"crm.objects.deals.read", "crm.objects.contacts.read", "crm.schemas.deals.read"} {
		if !slices.Contains(file.Config.Auth.RequiredScopes, want) {
			t.Errorf("it does not ask for %s", want)
		}
	}
}
