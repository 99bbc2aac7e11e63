// Package near measures how far a mistyped name is from a known one, for messages that end
// in "did you mean". It is pure.
package near

// Distance is the number of bytes to insert, delete, replace or swap with their neighbour
// to make b of a (optimal string alignment). Names that differ by more than 64 bytes in
// length are just far.
func Distance(a, b string) int {
	if d := len(a) - len(b); d > 64 || d < -64 {
		return max(d, -d)
	}
	before, prev := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur := make([]int, len(b)+1)
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev = prev, cur
	}
	return prev[len(b)]
}
