package browser

import (
	"testing"
	"time"
)

// TestRollBack goes back to an earlier snapshot and forward again, by mouse and with a finger: the page says first what changes, asks before
// it does it, keeps what is when the answer is no, and shows who did it without being loaded again.
func TestRollBack(t *testing.T) {
	for _, by := range []hand{mouse, finger} {
		t.Run(string(by), func(t *testing.T) {
			b := open(t, work.get(t))
			b.by = by
			if by == finger {
				b.size(375, 900)
			}
			const at = "/projects/billing-api/repository"
			b.visit(at)
			b.click("#snapshots a.btn[aria-label$='run 5']", "")
			b.until("what it would change", "location.pathname.endsWith('/snapshot') && document.querySelector('#snapshot')", 10*time.Second)
			b.sees("python3.12-flask", 5*time.Second)
			b.sees("3.1.0-1.el9", 5*time.Second)
			b.click("#snapshot form button", "Roll back to this")
			b.until("what is lost is said", "document.querySelector('#confirm').open && document.querySelector('#confirm-text').textContent.includes('They do not get that of run 8 any more')", 5*time.Second)
			b.click("#confirm button", "Keep")
			b.until("it is asked no more", "!document.querySelector('#confirm').open", 5*time.Second)
			b.click("#snapshot form button", "Roll back to this")
			b.click("#confirm-yes", "")
			b.until("the repository", "location.pathname === "+quoted(at), 10*time.Second)
			b.sees("Rolled back to the snapshot of run 5 by "+adminName, 10*time.Second)
			loads := b.loaded()
			b.click("#snapshots form button", "Let new runs publish again")
			b.click("#confirm-yes", "")
			b.until("it is over", "!document.querySelector('#snapshots').innerText.includes('Rolled back')", 10*time.Second)
			b.until("run 8 is current", "document.querySelector('#snapshots tbody tr').innerText.includes('current')", 5*time.Second)
			if by == mouse && b.loaded() > loads+1 {
				t.Errorf("the page was loaded %d times to show it", b.loaded()-loads)
			}
		})
	}
}
