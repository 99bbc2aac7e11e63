package spec

import "testing"

func TestDeniedLicense(t *testing.T) {
	gpl := []string{"GPL-*", "agpl-3.0-only"}
	for expr, want := range map[string]string{
		"MIT": "", "GPL-2.0-only": "GPL-2.0-only", "LGPL-2.1-or-later": "", "AGPL-3.0-only": "AGPL-3.0-only",
		"MIT OR GPL-2.0-only":                        "",
		"AGPL-3.0-only OR GPL-2.0-only":              "AGPL-3.0-only OR GPL-2.0-only",
		"MIT AND GPL-2.0-only":                       "GPL-2.0-only",
		"MIT OR BSD-3-Clause AND GPL-1.0":            "", // AND binds closer
		"(MIT OR BSD-3-Clause) AND GPL-3.0-or-later": "GPL-3.0-or-later",
		"(MIT OR GPL-2.0-only) AND ISC":              "",
		"GPL-2.0-only WITH Classpath-exception-2.0":  "GPL-2.0-only",
		"GPL-2.0+": "GPL-2.0+", UnknownLicense: "", "": "", "(": "", "AND OR": "",
	} {
		if got := DeniedLicense(expr, gpl); got != want {
			t.Errorf("%q: got %q, want %q", expr, got, want)
		}
	}
	if got := DeniedLicense(UnknownLicense, []string{"LicenseRef-*"}); got != UnknownLicense {
		t.Errorf("an unknown licence can be denied too, got %q", got)
	}
	for _, pattern := range []string{"", " ", "GPL-[", `GPL\`} {
		if CheckLicensePattern(pattern) == nil {
			t.Errorf("%q is taken for a pattern", pattern)
		}
	}
}

func FuzzDeniedLicense(f *testing.F) {
	f.Add("(MIT OR GPL-2.0-only) AND ISC WITH x", "GPL-*")
	f.Fuzz(func(t *testing.T, expr, pattern string) {
		DeniedLicense(clip(expr, maxExpression), []string{pattern}) // whatever it is, it comes back
		if validExpression(expr) && DeniedLicense(expr, []string{"*"}) == "" && pattern != "" {
			t.Errorf("%q is not denied where everything is", expr)
		}
	})
}
