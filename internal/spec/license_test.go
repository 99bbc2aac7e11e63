package spec

import (
	"strings"
	"testing"

	"reqpm/internal/metadata"
)

const (
	mitText = `Copyright (c) 2020 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction. The above copyright notice and this
permission notice shall be included in all copies or substantial portions of the Software.`
	bsd2Text = `Redistribution and use in source and binary forms, with or without modification, are permitted provided that:
1. Redistributions of source code must retain the above copyright notice.
2. Redistributions in binary form must reproduce the above copyright notice.`
	bsd3Text = bsd2Text + `
3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse or promote products.`
	apacheText = `                                 Apache License
                           Version 2.0, January 2004
                        http://www.apache.org/licenses/`
	gpl3Text   = "GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007\n"
	gplNotice  = "This program is free software under the terms of the GNU General Public License; either version 2 of the License, or (at your option) any later version."
	lgpl21Text = "GNU LESSER GENERAL PUBLIC LICENSE\n Version 2.1, February 1999\n successor of the GNU Library Public License, version 2"
	iscText    = `Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies.`
	psfText = "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2\n1. This LICENSE AGREEMENT is between the PSF"
	mplText = "Mozilla Public License Version 2.0\n==================================\n1. Definitions"
)

func TestLicense(t *testing.T) {
	classifiers := func(names ...string) metadata.Metadata {
		var m metadata.Metadata
		for _, n := range names {
			m.Classifiers = append(m.Classifiers, "License :: "+n)
		}
		return m
	}
	field := func(s string) metadata.Metadata { return metadata.Metadata{License: s} }
	file := func(text string) map[string]string { return map[string]string{"LICENSE": text} }
	none := metadata.Metadata{}
	for _, tt := range []struct {
		m            metadata.Metadata
		texts        map[string]string
		want, source string
	}{
		{metadata.Metadata{LicenseExpression: "MIT OR (Apache-2.0 AND GPL-2.0-only WITH Classpath-exception-2.0)", License: "BSD"}, nil,
			"MIT OR (Apache-2.0 AND GPL-2.0-only WITH Classpath-exception-2.0)", "License-Expression"},
		{metadata.Metadata{LicenseExpression: "%(id)", License: "MIT"}, nil, "MIT", "License field"},
		{metadata.Metadata{LicenseExpression: "MIT AND", License: "ISC"}, nil, "ISC", "License field"},

		{classifiers("OSI Approved :: MIT License"), nil, "MIT", "classifiers"},
		{classifiers("OSI Approved :: MIT License", "OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"), nil, "MIT AND MPL-2.0", "classifiers"},
		{classifiers("OSI Approved :: GNU General Public License v3 or later (GPLv3+)"), nil, "GPL-3.0-or-later", "classifiers"},
		{classifiers("OSI Approved :: Apache Software License"), nil, "Apache-2.0", "ambiguous classifiers"},
		{classifiers("OSI Approved :: BSD License"), nil, "LicenseRef-BSD", "ambiguous classifiers"},
		{classifiers("OSI Approved :: BSD License"), file(bsd3Text), "BSD-3-Clause", "file LICENSE"},
		{metadata.Metadata{Classifiers: []string{"License :: OSI Approved :: BSD License"}, License: "BSD 2-Clause"}, file(bsd3Text), "BSD-2-Clause", "License field"},

		{field("MIT"), nil, "MIT", "License field"},
		{field("The MIT License"), nil, "MIT", "License field"},
		{field("mit or apache-2.0"), nil, "MIT OR Apache-2.0", "License field"},
		{field("Apache License, Version 2.0"), nil, "Apache-2.0", "License field"},
		{field("Apache Software License 2.0"), nil, "Apache-2.0", "License field"},
		{field("Apache 2"), nil, "Apache-2.0", "License field"},
		{field("New BSD License"), nil, "BSD-3-Clause", "License field"},
		{field("3-Clause BSD License"), nil, "BSD-3-Clause", "License field"},
		{field("GPLv3+"), nil, "GPL-3.0-or-later", "License field"},
		{field("GNU GPL v2"), nil, "GPL-2.0-only", "License field"},
		{field("LGPL-3.0"), nil, "LGPL-3.0", "License field"},
		{field("PSFL"), nil, "PSF-2.0", "License field"},
		{field("MPL 2.0"), nil, "MPL-2.0", "License field"},
		{field("ISC license"), nil, "ISC", "License field"},
		{field("Public Domain"), nil, "LicenseRef-Public-Domain", "License field"},
		{field(mitText), nil, "MIT", "License field"},
		{field("UNKNOWN"), nil, UnknownLicense, "none"},
		{field("BSD"), nil, UnknownLicense, "none"},
		{field("see %(id)\nLICENSE"), nil, UnknownLicense, "none"},

		{none, file(mitText), "MIT", "file LICENSE"},
		{none, file(bsd2Text), "BSD-2-Clause", "file LICENSE"},
		{none, file(bsd3Text), "BSD-3-Clause", "file LICENSE"},
		{none, file(apacheText), "Apache-2.0", "file LICENSE"},
		{none, file(gpl3Text), "GPL-3.0-only", "file LICENSE"},
		{none, file(gplNotice), "GPL-2.0-or-later", "file LICENSE"},
		{none, file(lgpl21Text), "LGPL-2.1-only", "file LICENSE"},
		{none, file(iscText), "ISC", "file LICENSE"},
		{none, file(psfText), "PSF-2.0", "file LICENSE"},
		{none, file(mplText), "MPL-2.0", "file LICENSE"},
		{none, file("All rights reserved by somebody, do what you are told."), UnknownLicense, "none"},
		{none, map[string]string{"LICENSE.MIT": mitText, "LICENSE.APACHE": apacheText}, "Apache-2.0 AND MIT", "file LICENSE.APACHE"},
		{none, map[string]string{"COPYING": mitText, "vendor/x/LICENSE": gpl3Text}, "MIT", "file COPYING"},
		{none, map[string]string{"AUTHORS": mitText}, UnknownLicense, "none"},
		{none, file(strings.Repeat("x", 1<<22)), UnknownLicense, "none"},
		{none, nil, UnknownLicense, "none"},
	} {
		got, source := License(tt.m, tt.texts)
		if got != tt.want || source != tt.source {
			t.Errorf("%.60q %v with %d files: %q from %s, want %q from %s", tt.m.License, tt.m.Classifiers, len(tt.texts), got, source, tt.want, tt.source)
		}
		if !validExpression(got) {
			t.Errorf("%q is no expression", got)
		}
	}
}

// Every expression of the tables must be one that Write writes.
func TestLicenceTables(t *testing.T) {
	for _, table := range []map[string]string{classifierLicence, familyClassifier, freeTextLicence, knownIDs} {
		for key, id := range table {
			if key == "" || !validExpression(id) {
				t.Errorf("%q → %q", key, id)
			}
		}
	}
	if len(classifierLicence)+len(familyClassifier) < 90 {
		t.Errorf("only %d classifiers", len(classifierLicence)+len(familyClassifier))
	}
}

func TestValidExpression(t *testing.T) {
	for e, want := range map[string]bool{
		"MIT": true, "GPL-2.0+": true, "MIT OR Apache-2.0": true, "(MIT)": true, "LicenseRef-Foo": true, "MIT and ISC": true,
		"": false, "MIT Apache-2.0": false, "MIT OR": false, "OR MIT": false, "(MIT": false, "MIT)": false, "()": false,
		"MIT%": false, "MIT\nISC OR": false, "M'IT": false, "MIT OR (ISC": false,
	} {
		if got := validExpression(e); got != want {
			t.Errorf("validExpression(%q) = %v", e, got)
		}
	}
}

func FuzzLicense(f *testing.F) {
	f.Add("MIT", "Apache License, Version 2.0", mitText)
	f.Add("(((", "%(id)", gpl3Text)
	f.Fuzz(func(t *testing.T, expression, free, text string) {
		got, source := License(metadata.Metadata{LicenseExpression: expression, License: free, Classifiers: []string{free}}, map[string]string{"LICENSE": text})
		if !validExpression(got) || source == "" || strings.ContainsAny(got, "%\\'\"`$") {
			t.Fatalf("%q from %q", got, source)
		}
	})
}
