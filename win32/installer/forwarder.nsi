; The installer of the forwarder: one program, one service. With a window it asks for the two relays; without one:
;   pgtandem-forwarder-setup.exe /S /RELAY=hosta:5432,hostb:5432 [/LISTEN=127.0.0.1:5432] [/D=C:\folder]
; Over an older version it stops the service, replaces the program and keeps the settings, unless /RELAY is given.
; Exit status 0: done; 2: something failed, and in silence the file install.log in the program's folder says what.
;
; makensis defines: VERSION, PROGRAM (the .exe), LICENSE, OUTPUT.
Unicode true
Target amd64-unicode
SetCompressor /SOLID lzma
RequestExecutionLevel admin
Name "pgtandem forwarder"
OutFile "${OUTPUT}"
InstallDir "$PROGRAMFILES64\pgtandem"
ShowInstDetails show
ManifestDPIAware true
VIProductVersion "${VERSION}.0"
VIAddVersionKey "ProductName" "pgtandem forwarder"
VIAddVersionKey "FileDescription" "Installer of the pgtandem forwarder"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "LegalCopyright" "the pgtandem authors"

!include "MUI2.nsh"
!include "FileFunc.nsh"
!include "LogicLib.nsh"
!include "nsDialogs.nsh"

!define SERVICE "pgtandem-forwarder"
!define UNINSTALL_KEY "Software\Microsoft\Windows\CurrentVersion\Uninstall\${SERVICE}"

Var Relays  ; as --relay takes them: a list with a comma; empty keeps the present settings
Var Listen
Var Field
Var Installed  ; the program of an earlier installation; empty: there is none

!insertmacro MUI_PAGE_WELCOME
!insertmacro MUI_PAGE_LICENSE "${LICENSE}"
!insertmacro MUI_PAGE_DIRECTORY
Page custom AskForRelays TakeRelays
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"

; What follows an option of the command line, up to the next blank; empty without it. (NSIS' own GetOptions ends a value
; at a slash, and host:port/control has one.)
Function ValueOf
  Exch $R0
  ${GetParameters} $R1
  StrLen $R2 $R0
  StrCpy $R3 0
  search:
    StrCpy $R4 $R1 $R2 $R3
    StrCmp $R4 $R0 found
    IntOp $R3 $R3 + 1
    StrCmp $R4 "" 0 search
    StrCpy $R0 ""
    Goto done
  found:
    IntOp $R3 $R3 + $R2
    StrCpy $R0 ""
  take:
    StrCpy $R4 $R1 1 $R3
    IntOp $R3 $R3 + 1
    StrCmp $R4 "" done
    StrCmp $R4 " " done
    StrCmp $R4 '"' take
    StrCpy $R0 "$R0$R4"
    Goto take
  done:
    Exch $R0
FunctionEnd

Function .onInit
  SetRegView 64
  SetShellVarContext all
  Push "/RELAY="
  Call ValueOf
  Pop $Relays
  Push "/LISTEN="
  Call ValueOf
  Pop $Listen
  ClearErrors
  ReadRegStr $Installed HKLM "${UNINSTALL_KEY}" "InstallLocation"
  ${If} $Installed != ""
    StrCpy $INSTDIR $Installed
  ${EndIf}
  ${If} ${Silent}
  ${AndIf} $Relays == ""
  ${AndIf} $Installed == ""
    SetErrorLevel 2
    Abort
  ${EndIf}
FunctionEnd

Function AskForRelays
  !insertmacro MUI_HEADER_TEXT "Relays" "Where are the two relays of the database?"
  nsDialogs::Create 1018
  Pop $0
  ${NSD_CreateLabel} 0 0 100% 36u "HOST:PORT of both, with a comma between them, for example hosta:5432,hostb:5432. The control port is 8432, or is given as HOST:PORT/CONTROL. Leave it empty to keep the present settings."
  Pop $0
  ${NSD_CreateText} 0 42u 100% 13u "$Relays"
  Pop $Field
  nsDialogs::Show
FunctionEnd

Function TakeRelays
  ${NSD_GetText} $Field $Relays
  ${If} $Relays == ""
  ${AndIf} $Installed == ""
    MessageBox MB_ICONEXCLAMATION "Give the addresses of the two relays."
    Abort
  ${EndIf}
FunctionEnd

; Runs the program with the words on the stack; what it says is shown, and kept where nobody looks.
!macro RunForwarder WORDS
  DetailPrint "pgtandem-forwarder ${WORDS}"
  nsExec::ExecToStack '"$INSTDIR\pgtandem-forwarder.exe" ${WORDS}'
  Pop $0
  Pop $1
  DetailPrint "$1"
!macroend

Function GiveUp
  FileOpen $2 "$INSTDIR\install.log" w
  FileWrite $2 "$1"
  FileClose $2
  SetErrorLevel 2
  ${IfNot} ${Silent}
    MessageBox MB_ICONSTOP "$1"
  ${EndIf}
  Abort "The forwarder is not installed completely."
FunctionEnd

Section
  SetRegView 64
  SetShellVarContext all
  SetOutPath "$INSTDIR"
  ${If} ${FileExists} "$INSTDIR\pgtandem-forwarder.exe"
    !insertmacro RunForwarder "stop"
  ${EndIf}
  ClearErrors
  File "/oname=pgtandem-forwarder.exe" "${PROGRAM}"
  File "/oname=LICENSE.txt" "${LICENSE}"
  ${If} ${Errors}
    StrCpy $1 "The program's file cannot be written to $INSTDIR."
    Call GiveUp
  ${EndIf}

  StrCpy $3 "install"
  ${If} $Relays != ""
    StrCpy $3 "install --relay $\"$Relays$\""
    ${If} $Listen != ""
      StrCpy $3 "$3 --listen $\"$Listen$\""
    ${EndIf}
  ${EndIf}
  !insertmacro RunForwarder "$3"
  ${If} $0 != 0
    Call GiveUp
  ${EndIf}

  WriteUninstaller "$INSTDIR\uninstall.exe"
  WriteRegStr HKLM "${UNINSTALL_KEY}" "DisplayName" "pgtandem forwarder"
  WriteRegStr HKLM "${UNINSTALL_KEY}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKLM "${UNINSTALL_KEY}" "Publisher" "the pgtandem authors"
  WriteRegStr HKLM "${UNINSTALL_KEY}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKLM "${UNINSTALL_KEY}" "UninstallString" "$\"$INSTDIR\uninstall.exe$\""
  WriteRegStr HKLM "${UNINSTALL_KEY}" "QuietUninstallString" "$\"$INSTDIR\uninstall.exe$\" /S"
  WriteRegDWORD HKLM "${UNINSTALL_KEY}" "NoModify" 1
  WriteRegDWORD HKLM "${UNINSTALL_KEY}" "NoRepair" 1
  ${GetSize} "$INSTDIR" "/S=0K" $4 $5 $6
  WriteRegDWORD HKLM "${UNINSTALL_KEY}" "EstimatedSize" $4

  ; A service that does not start (its port is taken) is installed all the same; the machine's next start tries again.
  !insertmacro RunForwarder "start"
  ${If} $0 != 0
    FileOpen $2 "$INSTDIR\install.log" w
    FileWrite $2 "$1"
    FileClose $2
    SetErrorLevel 2
    ${IfNot} ${Silent}
      MessageBox MB_ICONEXCLAMATION "The service is installed, but did not start: $1"
    ${EndIf}
  ${Else}
    Delete "$INSTDIR\install.log"
  ${EndIf}
SectionEnd

Section "Uninstall"
  SetRegView 64
  SetShellVarContext all
  !insertmacro RunForwarder "uninstall"
  ${If} $0 != 0
    SetErrorLevel 2
    ${IfNot} ${Silent}
      MessageBox MB_ICONSTOP "$1"
    ${EndIf}
    Abort "The service could not be removed."
  ${EndIf}
  Delete "$INSTDIR\pgtandem-forwarder.exe"
  Delete "$INSTDIR\LICENSE.txt"
  Delete "$INSTDIR\install.log"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  DeleteRegKey HKLM "${UNINSTALL_KEY}"
SectionEnd
