package videos_test

import (
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/film"
)

func TestAFileThatCouldNotBecomeAVideoIsRemovedAtOnce(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.Exec(`CREATE FUNCTION gv.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room'; END $$`)
	f.Exec(`CREATE TRIGGER refuse BEFORE INSERT ON gv.videos FOR EACH ROW EXECUTE FUNCTION gv.refuse()`)
	if a := f.send(film.Short().MP4()); a.Status != 500 || reads(a, "no room") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	f.wantLeft(nothing)
}

func TestAFileThatCouldNotBeRemovedIsRemovedByTheNextUpload(t *testing.T) {
	t.Parallel()
	f := open(t)
	for range 4 { // as often as it is tried
		f.cloud.Fail(503, "DELETE")
	}
	if a := f.send(long(61)); a.Status != 422 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	f.wantLeft("0 videos, 1 uploads, 1 objects, 0 messages")
	f.accepted(f.send(film.Short().MP4()))
	f.wantLeft("1 videos, 0 uploads, 1 objects, 1 messages")
}

func TestThereIsNoVideoWithoutItsMessage(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.Exec(`CREATE FUNCTION gv.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room'; END $$`)
	f.Exec(`CREATE TRIGGER refuse BEFORE INSERT ON gv.outbox FOR EACH ROW EXECUTE FUNCTION gv.refuse()`)
	if a := f.send(film.Short().MP4()); a.Status != 500 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	f.wantLeft(nothing)
	f.Exec(`DROP TRIGGER refuse ON gv.outbox`)
	f.accepted(f.send(film.Short().MP4()))
	f.wantLeft("1 videos, 0 uploads, 1 objects, 1 messages")
}
