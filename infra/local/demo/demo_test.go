package demo

import (
	"strconv"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/local/demo/sim"
)

// figures is what the ledger will say of a world's ads: spend and pipeline, in units.
func figures(w *sim.World) (spend, pipeline map[string]float64) {
	spend, pipeline = map[string]float64{}, map[string]float64{}
	for _, ad := range w.Ads {
		for _, d := range ad.Days {
			spend[ad.ID] += float64(d.Spend) / 100
		}
	}
	worth := map[sim.Stage]float64{sim.Appointment: 2250, sim.ShowUp: 9000}
	for _, d := range w.Deals {
		value := worth[d.Stage()]
		if d.Stage() == sim.Won {
			value, _ = strconv.ParseFloat(d.Amount, 64)
		}
		if contact := w.Contacts[d.Contact]; contact.Click >= 0 && contact.KnownBy != sim.KnownNot && d.MergedInto < 0 {
			pipeline[w.Clicks[contact.Click].AdID] += value
		}
	}
	return spend, pipeline
}

func TestOnWhateverDayItStartsTheDemoHasItsCast(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	for day := range 60 {
		now := time.Date(2026, 11, 22, 5, 30, 0, 0, time.UTC).AddDate(0, 0, day)
		w := sim.New(sim.Config{Seed: homeSeed, Now: now, Zone: zone, Currency: "USD", Business: sim.Gym})
		spend, pipeline := figures(w)
		ordinary, winners, unspent, merged, deleted := 0, 0, 0, 0, 0
		for _, ad := range w.Ads {
			roas := pipeline[ad.ID] / max(spend[ad.ID], 1)
			switch {
			case spend[ad.ID] == 0:
				unspent++
			case roas > 3:
				winners++
			case ad.Active && fits(spend[ad.ID], pipeline[ad.ID]):
				ordinary++
			}
		}
		for _, d := range w.Deals {
			if d.MergedInto >= 0 {
				merged++
			}
			if d.Deleted {
				deleted++
			}
		}
		if ordinary < 5 || winners < 5 || winners > 25 || merged != 1 || deleted != 1 {
			t.Errorf("%s: %d ads for the play, %d winners, %d unspent; %d deals merged and %d deleted",
				now.Format(time.DateOnly), ordinary, winners, unspent, merged, deleted)
		}
		if unspent == 0 {
			t.Errorf("%s: every ad has spent already", now.Format(time.DateOnly))
		}
	}
}

func TestEveryStageOfASaleIsOneOfThePortal(t *testing.T) {
	t.Parallel()
	for stage, id := range stageIDs {
		if label(id) == "" {
			t.Errorf("stage %s is %s in the portal, which has no such stage", stage, id)
		}
	}
}
