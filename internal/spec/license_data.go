package spec

import "strings"

// Written from the classifier list of the packaging ecosystem and the SPDX licence list.

// classifierLicence maps classifiers that name one licence.
var classifierLicence = map[string]string{
	"License :: Aladdin Free Public License (AFPL)":                                                 "Aladdin",
	"License :: CC0 1.0 Universal (CC0 1.0) Public Domain Dedication":                               "CC0-1.0",
	"License :: CeCILL-B Free Software License Agreement (CECILL-B)":                                "CECILL-B",
	"License :: CeCILL-C Free Software License Agreement (CECILL-C)":                                "CECILL-C",
	"License :: Eiffel Forum License (EFL)":                                                         "EFL-2.0",
	"License :: Netscape Public License (NPL)":                                                      "NPL-1.1",
	"License :: Nokia Open Source License (NOKOS)":                                                  "Nokia",
	"License :: Public Domain":                                                                      "LicenseRef-Public-Domain",
	"License :: OSI Approved :: Academic Free License (AFL)":                                        "AFL-3.0",
	"License :: OSI Approved :: Attribution Assurance License":                                      "AAL",
	"License :: OSI Approved :: Blue Oak Model License (BlueOak-1.0.0)":                             "BlueOak-1.0.0",
	"License :: OSI Approved :: Boost Software License 1.0 (BSL-1.0)":                               "BSL-1.0",
	"License :: OSI Approved :: CEA CNRS Inria Logiciel Libre License, version 2.1 (CeCILL-2.1)":    "CECILL-2.1",
	"License :: OSI Approved :: CMU License (MIT-CMU)":                                              "MIT-CMU",
	"License :: OSI Approved :: Common Development and Distribution License 1.0 (CDDL-1.0)":         "CDDL-1.0",
	"License :: OSI Approved :: Common Public License":                                              "CPL-1.0",
	"License :: OSI Approved :: Eclipse Public License 1.0 (EPL-1.0)":                               "EPL-1.0",
	"License :: OSI Approved :: Eclipse Public License 2.0 (EPL-2.0)":                               "EPL-2.0",
	"License :: OSI Approved :: Educational Community License, Version 2.0 (ECL-2.0)":               "ECL-2.0",
	"License :: OSI Approved :: Eiffel Forum License":                                               "EFL-2.0",
	"License :: OSI Approved :: European Union Public Licence 1.0 (EUPL 1.0)":                       "EUPL-1.0",
	"License :: OSI Approved :: European Union Public Licence 1.1 (EUPL 1.1)":                       "EUPL-1.1",
	"License :: OSI Approved :: European Union Public Licence 1.2 (EUPL 1.2)":                       "EUPL-1.2",
	"License :: OSI Approved :: GNU Affero General Public License v3":                               "AGPL-3.0-only",
	"License :: OSI Approved :: GNU Affero General Public License v3 or later (AGPLv3+)":            "AGPL-3.0-or-later",
	"License :: OSI Approved :: GNU General Public License v2 or later (GPLv2+)":                    "GPL-2.0-or-later",
	"License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)":                    "GPL-3.0-or-later",
	"License :: OSI Approved :: GNU Lesser General Public License v2 or later (LGPLv2+)":            "LGPL-2.0-or-later",
	"License :: OSI Approved :: GNU Lesser General Public License v3 or later (LGPLv3+)":            "LGPL-3.0-or-later",
	"License :: OSI Approved :: Historical Permission Notice and Disclaimer (HPND)":                 "HPND",
	"License :: OSI Approved :: IBM Public License":                                                 "IPL-1.0",
	"License :: OSI Approved :: ISC License (ISCL)":                                                 "ISC",
	"License :: OSI Approved :: Intel Open Source License":                                          "Intel",
	"License :: OSI Approved :: MIT License":                                                        "MIT",
	"License :: OSI Approved :: MIT No Attribution License (MIT-0)":                                 "MIT-0",
	"License :: OSI Approved :: MirOS License (MirOS)":                                              "MirOS",
	"License :: OSI Approved :: Motosoto License":                                                   "Motosoto",
	"License :: OSI Approved :: Mozilla Public License 1.0 (MPL)":                                   "MPL-1.0",
	"License :: OSI Approved :: Mozilla Public License 1.1 (MPL 1.1)":                               "MPL-1.1",
	"License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)":                               "MPL-2.0",
	"License :: OSI Approved :: Mulan Permissive Software License v2 (MulanPSL-2.0)":                "MulanPSL-2.0",
	"License :: OSI Approved :: NASA Open Source Agreement v1.3 (NASA-1.3)":                         "NASA-1.3",
	"License :: OSI Approved :: Nethack General Public License":                                     "NGPL",
	"License :: OSI Approved :: Nokia Open Source License":                                          "Nokia",
	"License :: OSI Approved :: Open Group Test Suite License":                                      "OGTSL",
	"License :: OSI Approved :: Open Software License 3.0 (OSL-3.0)":                                "OSL-3.0",
	"License :: OSI Approved :: PostgreSQL License":                                                 "PostgreSQL",
	"License :: OSI Approved :: Python License (CNRI Python License)":                               "CNRI-Python",
	"License :: OSI Approved :: Python Software Foundation License":                                 "PSF-2.0",
	"License :: OSI Approved :: Qt Public License (QPL)":                                            "QPL-1.0",
	"License :: OSI Approved :: Ricoh Source Code Public License":                                   "RSCPL",
	"License :: OSI Approved :: SIL Open Font License 1.1 (OFL-1.1)":                                "OFL-1.1",
	"License :: OSI Approved :: Sleepycat License":                                                  "Sleepycat",
	"License :: OSI Approved :: Sun Industry Standards Source License (SISSL)":                      "SISSL",
	"License :: OSI Approved :: Sun Public License":                                                 "SPL-1.0",
	"License :: OSI Approved :: The Unlicense (Unlicense)":                                          "Unlicense",
	"License :: OSI Approved :: Universal Permissive License (UPL)":                                 "UPL-1.0",
	"License :: OSI Approved :: University of Illinois/NCSA Open Source License":                    "NCSA",
	"License :: OSI Approved :: Vovida Software License 1.0":                                        "VSL-1.0",
	"License :: OSI Approved :: W3C License":                                                        "W3C",
	"License :: OSI Approved :: X.Net License":                                                      "Xnet",
	"License :: OSI Approved :: Zero-Clause BSD (0BSD)":                                             "0BSD",
	"License :: OSI Approved :: zlib/libpng License":                                                "Zlib",
	"License :: OSI Approved :: Zope Public License":                                                "ZPL-2.1",
	"License :: CeCILL-2.1 Free Software License Agreement (CECILL-2.1)":                            "CECILL-2.1",
	"License :: Creative Commons Attribution 4.0 International (CC BY 4.0)":                         "CC-BY-4.0",
	"License :: Creative Commons Attribution-ShareAlike 4.0 International (CC BY-SA 4.0)":           "CC-BY-SA-4.0",
	"License :: Creative Commons Attribution-NonCommercial 4.0 International (CC BY-NC 4.0)":        "CC-BY-NC-4.0",
	"License :: OSI Approved :: GNU Lesser General Public License v2.1 or later (LGPLv2.1+)":        "LGPL-2.1-or-later",
	"License :: OSI Approved :: GNU Free Documentation License v1.3 or later (FDLv1.3+)":            "GFDL-1.3-or-later",
	"License :: OSI Approved :: Open Software License 2.1 (OSL-2.1)":                                "OSL-2.1",
	"License :: OSI Approved :: Artistic License 2.0 (Artistic-2.0)":                                "Artistic-2.0",
	"License :: OSI Approved :: Apache License 2.0 (Apache-2.0)":                                    "Apache-2.0",
	"License :: OSI Approved :: BSD 2-Clause \"Simplified\" License (BSD-2-Clause)":                 "BSD-2-Clause",
	"License :: OSI Approved :: BSD 3-Clause \"New\" or \"Revised\" License (BSD-3-Clause)":         "BSD-3-Clause",
	"License :: OSI Approved :: Licence Libre du Québec – Permissive (LiLiQ-P) version 1.1":         "LiLiQ-P-1.1",
	"License :: OSI Approved :: Licence Libre du Québec – Réciprocité (LiLiQ-R) version 1.1":        "LiLiQ-R-1.1",
	"License :: OSI Approved :: European Union Public Licence (EUPL)":                               "EUPL-1.2",
	"License :: OSI Approved :: Jabber Open Source License":                                         "LicenseRef-Jabber-OSL",
	"License :: OSI Approved :: MITRE Collaborative Virtual Workspace License (CVW)":                "LicenseRef-CVW",
	"License :: OSI Approved :: Open Data Commons Open Database License (ODbL)":                     "ODbL-1.0",
	"License :: OSI Approved :: Do What The F*ck You Want To Public License (WTFPL)":                "WTFPL",
	"License :: OSI Approved :: Non-Profit Open Software License 3.0 (NPOSL-3.0)":                   "NPOSL-3.0",
	"License :: OSI Approved :: Reciprocal Public License 1.5 (RPL-1.5)":                            "RPL-1.5",
	"License :: OSI Approved :: Microsoft Public License (MS-PL)":                                   "MS-PL",
	"License :: OSI Approved :: Microsoft Reciprocal License (MS-RL)":                               "MS-RL",
	"License :: Other/Proprietary License":                                                          "LicenseRef-Proprietary",
	"License :: OSI Approved :: GNU Library or Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
}

// familyClassifier maps classifiers that leave open which member of a family is meant to
// the member that asks most of who passes the software on; BSD has no such member.
var familyClassifier = map[string]string{
	"License :: OSI Approved :: Apache Software License":                             "Apache-2.0", // 1.x is practically extinct
	"License :: OSI Approved :: BSD License":                                         "LicenseRef-BSD",
	"License :: OSI Approved :: Artistic License":                                    "Artistic-1.0",
	"License :: OSI Approved :: GNU General Public License (GPL)":                    "GPL-1.0-or-later",
	"License :: OSI Approved :: GNU General Public License v2 (GPLv2)":               "GPL-2.0-only",
	"License :: OSI Approved :: GNU General Public License v3 (GPLv3)":               "GPL-3.0-only",
	"License :: OSI Approved :: GNU Lesser General Public License v2 (LGPLv2)":       "LGPL-2.0-only",
	"License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)":       "LGPL-3.0-only",
	"License :: OSI Approved :: GNU Library or Lesser General Public License (LGPL)": "LGPL-2.0-or-later",
	"License :: OSI Approved :: GNU Free Documentation License (FDL)":                "GFDL-1.1-or-later",
	"License :: Free For Educational Use":                                            "LicenseRef-Free-For-Educational-Use",
	"License :: Free For Home Use":                                                   "LicenseRef-Free-For-Home-Use",
	"License :: Free for non-commercial use":                                         "LicenseRef-Free-For-Non-Commercial-Use",
	"License :: Free To Use But Restricted":                                          "LicenseRef-Free-To-Use-But-Restricted",
	"License :: Freely Distributable":                                                "LicenseRef-Freely-Distributable",
	"License :: Freeware":                                                            "LicenseRef-Freeware",
	"License :: DFSG approved":                                                       UnknownLicense,
	"License :: OSI Approved":                                                        UnknownLicense,
}

// freeTextLicence maps usual names, in the form licenceKey gives them.
var freeTextLicence = keyed(map[string][]string{
	"MIT":                        {"mit", "mit/x11", "x11", "expat", "mit expat", "mit (expat)", "osi mit", "osi approved mit", "mit licence (mit)"},
	"Apache-2.0":                 {"apache 2.0", "apache 2", "apache2", "apache2.0", "apache", "asl 2.0", "asl 2", "apache public 2.0", "apache foundation 2.0", "al2", "apachev2", "apache 2.0 (apache 2.0)"},
	"BSD-3-Clause":               {"bsd 3 clause", "bsd3", "3 clause bsd", "new bsd", "modified bsd", "revised bsd", "bsd 3 clause new", "bsd 3 clause new or revised", "bsd (3 clause)", "bsd new", "three clause bsd", "bsd 3", "bsd3 clause"},
	"BSD-2-Clause":               {"bsd 2 clause", "2 clause bsd", "simplified bsd", "freebsd", "bsd 2 clause simplified", "two clause bsd", "bsd 2", "bsd2"},
	"0BSD":                       {"0bsd", "zero clause bsd", "bsd 0 clause"},
	"ISC":                        {"isc", "iscl", "isc iscl", "isc (iscl)"},
	"PSF-2.0":                    {"psf", "psfl", "psf 2.0", "psf 2", "python foundation", "python software foundation"},
	"Python-2.0":                 {"python 2.0"},
	"MPL-2.0":                    {"mpl 2.0", "mpl 2", "mpl2", "mozilla public 2.0", "mozilla public 2.0 (mpl 2.0)", "mpl2.0", "mozilla public license 2"},
	"MPL-1.1":                    {"mpl 1.1", "mozilla public 1.1"},
	"GPL-2.0-only":               {"gpl 2", "gpl 2.0", "gpl2", "gplv2", "gnu gpl 2", "gnu general public 2", "gnu gplv2", "gpl 2 only", "gpl 2.0 only"},
	"GPL-2.0-or-later":           {"gpl 2+", "gplv2+", "gpl 2 or later", "gpl 2.0 or later", "gpl2+", "gnu gplv2+", "gnu general public 2 or later", "gnu general public license v2 or later (gplv2+)", "gpl 2.0+"},
	"GPL-3.0-only":               {"gpl 3", "gpl 3.0", "gpl3", "gplv3", "gnu gpl 3", "gnu general public 3", "gnu gplv3", "gpl 3 only", "gpl 3.0 only", "gnu general public 3.0"},
	"GPL-3.0-or-later":           {"gpl 3+", "gplv3+", "gpl 3 or later", "gpl 3.0 or later", "gpl3+", "gnu gplv3+", "gnu general public 3 or later", "gnu general public license v3 or later (gplv3+)", "gpl 3.0+"},
	"LGPL-2.1-only":              {"lgpl 2.1", "lgplv2.1", "gnu lgpl 2.1", "gnu lesser general public 2.1", "lgpl 2.1 only"},
	"LGPL-2.1-or-later":          {"lgpl 2.1+", "lgplv2.1+", "lgpl 2.1 or later", "gnu lesser general public 2.1 or later"},
	"LGPL-3.0-only":              {"lgpl 3", "lgpl 3.0", "lgplv3", "lgpl3", "gnu lgpl 3", "gnu lesser general public 3", "lgpl 3.0 only"},
	"LGPL-3.0-or-later":          {"lgpl 3+", "lgplv3+", "lgpl 3 or later", "lgpl 3.0 or later", "gnu lesser general public license v3 or later (lgplv3+)", "gnu lgplv3+"},
	"AGPL-3.0-only":              {"agpl 3", "agpl 3.0", "agplv3", "gnu agpl 3", "gnu affero general public 3", "agpl 3.0 only"},
	"AGPL-3.0-or-later":          {"agpl 3+", "agplv3+", "agpl 3 or later", "agpl 3.0 or later"},
	"ZPL-2.1":                    {"zpl 2.1", "zope public 2.1", "zope public"},
	"Unlicense":                  {"unlicense", "public domain (unlicense)"},
	"CC0-1.0":                    {"cc0", "cc0 1.0", "cc0 1.0 universal"},
	"Zlib":                       {"zlib", "zlib/libpng", "libpng"},
	"BSL-1.0":                    {"bsl 1.0", "boost 1.0", "boost"},
	"EPL-2.0":                    {"epl 2.0", "eclipse public 2.0", "epl 2"},
	"WTFPL":                      {"wtfpl"},
	"HPND":                       {"hpnd"},
	"MIT-CMU":                    {"mit cmu"},
	"LicenseRef-Public-Domain":   {"public domain", "publicdomain"},
	"LicenseRef-Proprietary":     {"proprietary", "commercial", "all rights reserved", "closed source"},
	"BSD-3-Clause AND MIT":       {"bsd 3 clause and mit"},
	"Apache-2.0 OR MIT":          {"mit or apache 2.0", "apache 2.0 or mit", "mit/apache 2.0", "dual mit/apache 2.0"},
	"Apache-2.0 OR BSD-2-Clause": {"bsd 2 clause or apache 2.0", "apache 2.0 or bsd 2 clause"},
	"Apache-2.0 OR BSD-3-Clause": {"bsd 3 clause or apache 2.0", "apache 2.0 or bsd 3 clause"},
})

func keyed(names map[string][]string) map[string]string {
	out := map[string]string{}
	for id, list := range names {
		for _, n := range list {
			out[licenceKey(n)] = id
		}
	}
	return out
}

// knownIDs are the SPDX ids accepted in a free License field, by their lower case form.
var knownIDs = lowered(strings.Fields(`
	0BSD AAL AFL-2.1 AFL-3.0 AGPL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-1.0 Artistic-2.0 Beerware
	BlueOak-1.0.0 BSD-1-Clause BSD-2-Clause BSD-2-Clause-Patent BSD-3-Clause BSD-3-Clause-Clear BSD-3-Clause-LBNL BSD-4-Clause BSL-1.0
	CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC-BY-NC-4.0 CC0-1.0 CDDL-1.0 CECILL-2.1 CECILL-B CECILL-C CNRI-Python CPL-1.0 ECL-2.0
	EFL-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 GFDL-1.3-or-later GPL-1.0-or-later GPL-2.0 GPL-2.0-only GPL-2.0-or-later GPL-3.0
	GPL-3.0-only GPL-3.0-or-later HPND ICU IJG IPL-1.0 ISC LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1 LGPL-2.1-only LGPL-2.1-or-later
	LGPL-3.0 LGPL-3.0-only LGPL-3.0-or-later Libpng MIT MIT-0 MIT-CMU MirOS MPL-1.0 MPL-1.1 MPL-2.0 MS-PL MS-RL MulanPSL-2.0 NCSA
	NTP OFL-1.1 OpenSSL OSL-3.0 PostgreSQL PSF-2.0 Python-2.0 Python-2.0.1 QPL-1.0 Ruby Sleepycat Unicode-DFS-2016 Unlicense UPL-1.0
	Vim W3C WTFPL X11 Zlib ZPL-2.0 ZPL-2.1 Classpath-exception-2.0 GCC-exception-3.1 LLVM-exception`))

func lowered(ids []string) map[string]string {
	out := make(map[string]string, len(ids))
	for _, id := range ids {
		out[strings.ToLower(id)] = id
	}
	return out
}

// textRules recognise texts (lower case, white space collapsed, quotes removed); the first
// that fits wins.
var textRules = []struct {
	id        string
	all, none []string
}{
	{"Apache-2.0", []string{"apache license", "version 2.0, january 2004"}, nil},
	{"Apache-2.0", []string{"licensed under the apache license, version 2.0"}, nil},
	{"MPL-2.0", []string{"mozilla public license version 2.0"}, nil},
	{"MPL-2.0", []string{"mozilla public license, v. 2.0"}, nil},
	{"MPL-2.0", []string{"mozilla public license, version 2.0"}, nil},
	{"ZPL-2.1", []string{"zope public license", "version 2.1"}, nil},
	{"Python-2.0", []string{"python software foundation license version 2", "beopen.com license agreement"}, nil},
	{"PSF-2.0", []string{"python software foundation license version 2"}, nil},
	{"PSF-2.0", []string{"psf hereby grants licensee"}, nil},
	{"Unlicense", []string{"this is free and unencumbered software released into the public domain"}, nil},
	{"CC0-1.0", []string{"cc0 1.0 universal"}, nil},
	{"BSL-1.0", []string{"boost software license - version 1.0"}, nil},
	{"EPL-2.0", []string{"eclipse public license - v 2.0"}, nil},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy", "permission notice shall be included in all"}, nil},
	{"MIT-0", []string{"permission is hereby granted, free of charge, to any person obtaining a copy", "without restriction"}, []string{"permission notice"}},
	{"BSD-4-Clause", []string{"redistribution and use in source and binary forms", "all advertising materials mentioning"}, nil},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "to endorse or promote products"}, nil},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "neither the name"}, nil},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms", "must retain the above copyright notice", "must reproduce the above copyright notice"}, nil},
	{"ISC", []string{"permission to use, copy, modify, and", "distribute this software for any purpose with or without fee is hereby granted", "provided that the above copyright notice"}, nil},
	{"0BSD", []string{"permission to use, copy, modify, and", "distribute this software for any purpose with or without fee is hereby granted"}, []string{"provided that"}},
	{"HPND", []string{"permission to use, copy, modify", "is hereby granted", "provided that the above copyright notice", "supporting documentation"}, nil},
	{"Zlib", []string{"without any express or implied warranty. in no event will the authors be held liable", "altered source versions must be plainly marked"}, nil},
	{"WTFPL", []string{"do what the fuck you want to public license"}, nil},
}

// gnuTitles: title and version lines at the head of a text. LGPL and AGPL before GPL.
var gnuTitles = []struct {
	id, title string
	versions  []string
}{
	{"AGPL-3.0", "gnu affero general public license", []string{"version 3"}},
	{"LGPL-3.0", "gnu lesser general public license", []string{"version 3"}},
	{"LGPL-2.1", "gnu lesser general public license", []string{"version 2.1"}},
	{"LGPL-2.0", "gnu library general public license", []string{"version 2"}},
	{"GPL-3.0", "gnu general public license", []string{"version 3"}},
	{"GPL-2.0", "gnu general public license", []string{"version 2"}},
}
