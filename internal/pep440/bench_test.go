package pep440_test

import (
	"testing"

	"reqpm/internal/pep440"
)

func BenchmarkParse(b *testing.B) {
	texts := []string{"1.26.4", "2.0.0rc1", "2024.2.post1", "0.4.dev3+g1234567"}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := pep440.Parse(texts[i%len(texts)]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	x, y := version(b, "1.26.4"), version(b, "1.26.10rc1")
	b.ReportAllocs()
	for b.Loop() {
		if x.Compare(y) != -1 {
			b.Fatal("wrong order")
		}
	}
}

func BenchmarkContains(b *testing.B) {
	set, v := specifiers(b, ">=1.21,!=1.24.*,<2.0"), version(b, "1.26.4")
	b.ReportAllocs()
	for b.Loop() {
		if !set.Contains(v) {
			b.Fatal("not contained")
		}
	}
}

func BenchmarkParseSpecifiers(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pep440.ParseSpecifiers(">=1.21,!=1.24.*,<2.0"); err != nil {
			b.Fatal(err)
		}
	}
}
