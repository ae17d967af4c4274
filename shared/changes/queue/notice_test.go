package queue_test

import (
	"slices"
	"testing"

	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/notice"
)

func TestEveryNoticeOfAChangeIsOfAKindThatTenantsCanChoose(t *testing.T) {
	t.Parallel()
	for _, kind := range []changes.NoticeKind{
		changes.NoticeQueued, changes.NoticeAwaiting, changes.NoticeCut, changes.NoticeApplied, changes.NoticeHeld, changes.NoticeFailed, changes.NoticeUndone,
	} {
		if !slices.Contains(notice.Kinds, string(kind)) {
			t.Errorf("%s is no kind of notice", kind)
		}
	}
}
