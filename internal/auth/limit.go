package auth

import (
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"
)

// LimitError says that there were too many attempts; nothing was tried. 429 in HTTP's words.
type LimitError struct {
	RetryAfter time.Duration // whole seconds, for the header of that name
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("too many attempts to log in: try again in %s", e.RetryAfter)
}

// BusyError says that too many passwords are being checked at once. 503 in HTTP's words.
type BusyError struct {
	RetryAfter time.Duration
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("too many people log in at once: try again in %s", e.RetryAfter)
}

// limiter gives every key some attempts at once, and then one in a while. It may be called from any goroutine.
type limiter struct {
	burst float64
	every time.Duration // one more attempt
	most  int           // keys remembered

	mu      sync.Mutex
	buckets map[string]bucket
}

// bucket is how many attempts were left at a time.
type bucket struct {
	left float64
	at   time.Time
}

func newLimiter(burst int, every time.Duration, most int) *limiter {
	return &limiter{burst: float64(burst), every: every, most: most, buckets: map[string]bucket{}}
}

// take uses up an attempt; else it says how long to wait.
func (l *limiter) take(key string) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	left := l.left(l.buckets[key], now)
	if left < 1 {
		return max(time.Second, time.Duration(math.Ceil((1-left)*l.every.Seconds()))*time.Second)
	}
	l.put(key, bucket{left - 1, now}, now)
	return 0
}

// give returns an attempt that was no guess.
func (l *limiter) give(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if b, ok := l.buckets[key]; ok {
		l.put(key, bucket{l.left(b, now) + 1, now}, now)
	}
}

func (l *limiter) left(b bucket, now time.Time) float64 {
	if b.at.IsZero() {
		return l.burst
	}
	passed := max(0, now.Sub(b.at)) // the clock may go back
	return min(l.burst, b.left+float64(passed)/float64(l.every))
}

// put remembers a bucket. When there are too many, those that are full again go, and if there are none the
// fullest: new keys cannot push out one that was used up.
func (l *limiter) put(key string, b bucket, now time.Time) {
	delete(l.buckets, key)
	if b.left >= l.burst {
		return
	}
	if len(l.buckets) >= l.most {
		fullest, most := "", -1.0
		for k, other := range l.buckets {
			left := l.left(other, now)
			if left >= l.burst {
				delete(l.buckets, k)
			} else if left > most {
				fullest, most = k, left
			}
		}
		if len(l.buckets) >= l.most {
			delete(l.buckets, fullest)
		}
	}
	l.buckets[key] = b
}

// limitKey is what an address is counted under: a customer has one IPv4 address, or a /64 of IPv6.
func limitKey(address netip.Addr) string {
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if prefix, err := address.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return address.String()
}
