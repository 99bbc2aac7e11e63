package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func (f *fixture) try(from, name, password string) error {
	_, _, err := f.Login(f.Context(), request(from), name, password)
	return err
}

func TestGuessingIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, t.TempDir()+"/db")
		f.user("bob", Viewer)
		for range 50 {
			f.must(f.try("192.0.2.1:1", "bob", password)) // being right is no guess
		}
		// From all over the world against one user.
		guesses := 0
		var limit *LimitError
		for i := range 100 {
			err := f.try(fmt.Sprintf("198.51.100.%d:1", i), "bob", "wrong horse battery")
			if errors.As(err, &limit) {
				break
			}
			f.is(err, ErrLogin)
			guesses++
		}
		if guesses != 10 || limit == nil || limit.RetryAfter < time.Second || limit.RetryAfter > 15*time.Second {
			t.Fatalf("%d guesses, then %v", guesses, limit)
		}
		if err := f.try("203.0.113.1:1", "bob", password); !errors.As(err, &limit) {
			t.Errorf("the right password, too soon: %v", err)
		}
		f.must(f.try("203.0.113.1:1", "ada", password)) // others do not notice
		later(t, limit.RetryAfter)
		f.must(f.try("203.0.113.1:1", "bob", password))

		// From one place against all users: the addresses of one /64 are one place.
		guesses = 0
		for i := range 100 {
			err := f.try(fmt.Sprintf("[2001:db8:0:1::%x]:1", i), fmt.Sprintf("user%d", i), password)
			if errors.As(err, &limit) {
				break
			}
			guesses++
		}
		if guesses != 20 {
			t.Errorf("%d guesses from one network", guesses)
		}
		f.must(f.try("[2001:db8:0:2::1]:1", "ada", password))
	})
}

func TestGuessingTheOldPasswordIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, t.TempDir()+"/db")
		var limit *LimitError
		for range 11 {
			err := f.SetPassword(t.Context(), f.ada, f.ada.User, "wrong horse battery", "another long password")
			errors.As(err, &limit)
		}
		if limit == nil {
			t.Error("whoever has a session may guess for ever")
		}
	})
}

func TestLimiterForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(3, time.Minute, 100)
		for range 3 {
			l.take("used up")
		}
		for i := range 10_000 {
			l.take(fmt.Sprint(i))
			if len(l.buckets) > 100 {
				t.Fatalf("%d keys remembered", len(l.buckets))
			}
		}
		if l.take("used up") == 0 {
			t.Error("a flood of others pushed it out")
		}
		later(t, time.Hour)
		for range 3 {
			if wait := l.take("used up"); wait != 0 {
				t.Errorf("after an hour: wait %s", wait)
			}
		}
		if wait := l.take("used up"); wait != time.Minute {
			t.Errorf("wait %s", wait)
		}
	})
}

func TestLimitKey(t *testing.T) {
	same := func(a, b string) bool {
		return limitKey(netip.MustParseAddr(a)) == limitKey(netip.MustParseAddr(b))
	}
	if !same("2001:db8::1", "2001:db8::ffff:1%eth0") || same("2001:db8::1", "2001:db8:0:1::1") || same("192.0.2.1", "192.0.2.2") || !same("192.0.2.1", "::ffff:192.0.2.1") {
		t.Error("wrong networks")
	}
	if limitKey(netip.Addr{}) == "" {
		t.Error("a socket has a key, too")
	}
}

func TestHashesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, t.TempDir()+"/db")
		for range hashSlots {
			f.hasher.slots <- struct{}{}
		}
		began := time.Now()
		var busy *BusyError
		if err := f.try("192.0.2.1:1", "ada", password); !errors.As(err, &busy) || time.Since(began) != hashWait || !strings.Contains(err.Error(), "10s") {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if err := f.try("192.0.2.1:1", "nobody", password); !errors.As(err, &busy) {
			t.Errorf("for names that nobody has nothing is hashed, which can be measured: %v", err)
		}
		<-f.hasher.slots
		f.must(f.try("192.0.2.1:1", "ada", password))
	})
}
