package solve

import "math/bits"

// set is a set of values of one variable: bit 0 is "not chosen", bit i+1 is
// candidate i, oldest version first. All sets of one variable have equal length,
// and bits past the last candidate are never set.
type set []uint64

const none = 0

func newSet(size int) set { return make(set, (size+63)/64) }

func fullSet(size int) set {
	s := newSet(size)
	s.fill(0, size)
	return s
}

func single(size, i int) set {
	s := newSet(size)
	s.add(i)
	return s
}

func (s set) has(i int) bool { return s[i>>6]&(1<<(i&63)) != 0 }
func (s set) add(i int)      { s[i>>6] |= 1 << (i & 63) }
func (s set) remove(i int)   { s[i>>6] &^= 1 << (i & 63) }

// fill adds the bits from lo up to, not including, hi.
func (s set) fill(lo, hi int) {
	for lo < hi {
		end := min(hi, (lo|63)+1)
		mask := ^uint64(0) << (lo & 63)
		if end&63 != 0 {
			mask &= 1<<(end&63) - 1
		}
		s[lo>>6] |= mask
		lo = end
	}
}

func (s set) clone() set { return append(set(nil), s...) }

func (s set) and(o set) set {
	r := make(set, len(s))
	for i := range s {
		r[i] = s[i] & o[i]
	}
	return r
}

func (s set) or(o set) set {
	r := make(set, len(s))
	for i := range s {
		r[i] = s[i] | o[i]
	}
	return r
}

func (s set) minus(o set) set {
	r := make(set, len(s))
	for i := range s {
		r[i] = s[i] &^ o[i]
	}
	return r
}

func (s set) subsetOf(o set) bool {
	for i := range s {
		if s[i]&^o[i] != 0 {
			return false
		}
	}
	return true
}

func (s set) disjoint(o set) bool {
	for i := range s {
		if s[i]&o[i] != 0 {
			return false
		}
	}
	return true
}

func (s set) empty() bool {
	for _, w := range s {
		if w != 0 {
			return false
		}
	}
	return true
}

func (s set) equal(o set) bool {
	for i := range s {
		if s[i] != o[i] {
			return false
		}
	}
	return true
}

func (s set) count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// max is the highest member, -1 for the empty set.
func (s set) max() int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] != 0 {
			return i*64 + 63 - bits.LeadingZeros64(s[i])
		}
	}
	return -1
}

// next is the smallest member >= i, -1 when there is none.
func (s set) next(i int) int {
	if i >= len(s)*64 {
		return -1
	}
	w := i >> 6
	word := s[w] & (^uint64(0) << (i & 63))
	for word == 0 {
		w++
		if w == len(s) {
			return -1
		}
		word = s[w]
	}
	return w*64 + bits.TrailingZeros64(word)
}
