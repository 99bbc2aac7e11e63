package pep508_test

import (
	"testing"

	"reqpm/internal/pep508"
)

const typical = `importlib-metadata[test] (>=1.7.0,<5) ; python_version < "3.8" and extra == "docs"`

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pep508.Parse(typical); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvalAny(b *testing.B) {
	env, m := pep508.Linux("3.12.4", "x86_64"), requirement(b, typical).Marker
	extras := []string{"docs", "test"}
	b.ReportAllocs()
	for b.Loop() {
		if m.EvalAny(env, extras) {
			b.Fatal("holds")
		}
	}
}

func BenchmarkNormalizeName(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		pep508.NormalizeName("Zope.Interface")
	}
}
