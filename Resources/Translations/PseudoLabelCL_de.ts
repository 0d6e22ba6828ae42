<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
<context>
    <name>PseudoLabelCL</name>
    <message>
        <source>Add</source>
        <translation>Hinzufügen</translation>
    </message>
    <message>
        <source>Add an image from a file to this patient</source>
        <translation>Diesem Patienten ein Bild aus einer Datei hinzufügen</translation>
    </message>
    <message>
        <source>Add files...</source>
        <translation>Dateien...</translation>
    </message>
    <message>
        <source>Add no image</source>
        <translation>Kein Bild hinzufügen</translation>
    </message>
    <message>
        <source>Add the chosen volume of the scene to this patient</source>
        <translation>Diesem Patienten das gewählte Volumen der Szene hinzufügen</translation>
    </message>
    <message>
        <source>Add volume</source>
        <translation>Volumen hinzufügen</translation>
    </message>
    <message>
        <source>Add volumes</source>
        <translation>Volumen hinzufügen</translation>
    </message>
    <message>
        <source>Add volumes from files</source>
        <translation>Volumen aus Dateien hinzufügen</translation>
    </message>
    <message>
        <source>Advanced</source>
        <translation>Erweitert</translation>
    </message>
    <message>
        <source>Agreement</source>
        <translation>Übereinstimmung</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Case</source>
        <translation>Fall</translation>
    </message>
    <message>
        <source>Cases</source>
        <translation>Fälle</translation>
    </message>
    <message>
        <source>Check</source>
        <translation>Prüfen</translation>
    </message>
    <message>
        <source>Check again</source>
        <translation>Noch einmal prüfen</translation>
    </message>
    <message>
        <source>Check the cases</source>
        <translation>Fälle prüfen</translation>
    </message>
    <message>
        <source>Closes this message.</source>
        <translation>Schließt diese Meldung.</translation>
    </message>
    <message>
        <source>Confirmed by this correction:</source>
        <translation>Von dieser Korrektur bestätigt:</translation>
    </message>
    <message>
        <source>Create</source>
        <translation>Anlegen</translation>
    </message>
    <message>
        <source>Dismiss</source>
        <translation>Verwerfen</translation>
    </message>
    <message>
        <source>Doubt</source>
        <translation>Zweifel</translation>
    </message>
    <message>
        <source>Edit</source>
        <translation>Bearbeiten</translation>
    </message>
    <message>
        <source>Export</source>
        <translation>Exportieren</translation>
    </message>
    <message>
        <source>File format</source>
        <translation>Dateiformat</translation>
    </message>
    <message>
        <source>First image:</source>
        <translation>Erstes Bild:</translation>
    </message>
    <message>
        <source>Folder...</source>
        <translation>Ordner...</translation>
    </message>
    <message>
        <source>Folder:</source>
        <translation>Ordner:</translation>
    </message>
    <message>
        <source>From a file...</source>
        <translation>Aus einer Datei...</translation>
    </message>
    <message>
        <source>Further image of this patient:</source>
        <translation>Weiteres Bild dieses Patienten:</translation>
    </message>
    <message>
        <source>Go back...</source>
        <translation>Zurückgehen...</translation>
    </message>
    <message>
        <source>Go on to training</source>
        <translation>Weiter zum Training</translation>
    </message>
    <message>
        <source>Go to the next case after a verdict</source>
        <translation>Nach einem Urteil zum nächsten Fall</translation>
    </message>
    <message>
        <source>Leave out</source>
        <translation>Weglassen</translation>
    </message>
    <message>
        <source>Load...</source>
        <translation>Laden...</translation>
    </message>
    <message>
        <source>Log</source>
        <translation>Protokoll</translation>
    </message>
    <message>
        <source>Messages of the training</source>
        <translation>Meldungen des Trainings</translation>
    </message>
    <message>
        <source>Name:</source>
        <translation>Name:</translation>
    </message>
    <message>
        <source>New project</source>
        <translation>Neues Projekt</translation>
    </message>
    <message>
        <source>New project...</source>
        <translation>Neues Projekt...</translation>
    </message>
    <message>
        <source>Newest model</source>
        <translation>Neuestes Modell</translation>
    </message>
    <message>
        <source>Next doubtful place</source>
        <translation>Nächste zweifelhafte Stelle</translation>
    </message>
    <message>
        <source>Next: Train</source>
        <translation>Weiter: Training</translation>
    </message>
    <message>
        <source>Open a project...</source>
        <translation>Projekt öffnen...</translation>
    </message>
    <message>
        <source>Outline only</source>
        <translation>Nur Umrisse</translation>
    </message>
    <message>
        <source>Paint in the proposal with the Segment Editor (E)</source>
        <translation>Im Vorschlag mit dem Segment Editor zeichnen (E)</translation>
    </message>
    <message>
        <source>Pause</source>
        <translation>Pause</translation>
    </message>
    <message>
        <source>Pre-training:</source>
        <translation>Vortraining:</translation>
    </message>
    <message>
        <source>Profile:</source>
        <translation>Profil:</translation>
    </message>
    <message>
        <source>Project</source>
        <translation>Projekt</translation>
    </message>
    <message>
        <source>Pseudo-labels, most doubtful first. Double-click shows one; right-click to judge several.</source>
        <translation>Pseudo-Labels, die zweifelhaftesten zuerst. Doppelklick zeigt eines; Rechtsklick beurteilt mehrere.</translation>
    </message>
    <message>
        <source>Reason</source>
        <translation>Grund</translation>
    </message>
    <message>
        <source>Reject</source>
        <translation>Ablehnen</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>Entfernen</translation>
    </message>
    <message>
        <source>Report</source>
        <translation>Bericht</translation>
    </message>
    <message>
        <source>Review</source>
        <translation>Review</translation>
    </message>
    <message>
        <source>Role:</source>
        <translation>Rolle:</translation>
    </message>
    <message>
        <source>Round</source>
        <translation>Runde</translation>
    </message>
    <message>
        <source>Rounds so far</source>
        <translation>Bisherige Runden</translation>
    </message>
    <message>
        <source>Rounds:</source>
        <translation>Runden:</translation>
    </message>
    <message>
        <source>Save...</source>
        <translation>Speichern...</translation>
    </message>
    <message>
        <source>Segment</source>
        <translation>Segmentieren</translation>
    </message>
    <message>
        <source>Segment new volumes</source>
        <translation>Neue Volumen segmentieren</translation>
    </message>
    <message>
        <source>Segmentation:</source>
        <translation>Segmentierung:</translation>
    </message>
    <message>
        <source>Set role</source>
        <translation>Rolle setzen</translation>
    </message>
    <message>
        <source>Show</source>
        <translation>Zeigen</translation>
    </message>
    <message>
        <source>Show result</source>
        <translation>Ergebnis zeigen</translation>
    </message>
    <message>
        <source>Show the previous round</source>
        <translation>Vorige Runde zeigen</translation>
    </message>
    <message>
        <source>Show uncertainty</source>
        <translation>Unsicherheit zeigen</translation>
    </message>
    <message>
        <source>State</source>
        <translation>Stand</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>Stoppen</translation>
    </message>
    <message>
        <source>Structure is correct</source>
        <translation>Struktur ist richtig</translation>
    </message>
    <message>
        <source>Structures</source>
        <translation>Strukturen</translation>
    </message>
    <message>
        <source>Take back</source>
        <translation>Zurücknehmen</translation>
    </message>
    <message>
        <source>The selected structure is wrong: it is left out of the next round</source>
        <translation>Die gewählte Struktur ist falsch: Sie bleibt in der nächsten Runde weg</translation>
    </message>
    <message>
        <source>This image:</source>
        <translation>Dieses Bild:</translation>
    </message>
    <message>
        <source>Train</source>
        <translation>Training</translation>
    </message>
    <message>
        <source>Use</source>
        <translation>Verwenden</translation>
    </message>
    <message>
        <source>Verdict</source>
        <translation>Urteil</translation>
    </message>
    <message>
        <source>Volume:</source>
        <translation>Volumen:</translation>
    </message>
    <message>
        <source>What only you can decide</source>
        <translation>Was nur Sie entscheiden können</translation>
    </message>
    <message>
        <source>What the check found</source>
        <translation>Was die Prüfung ergab</translation>
    </message>
    <message>
        <source>What the images that are there already show, such as FLAIR; segmentations lie on them</source>
        <translation>Was die Bilder zeigen, die schon da sind, etwa FLAIR; auf ihnen liegen die Segmentierungen</translation>
    </message>
    <message>
        <source>What this image shows, such as T1; the same name for all patients</source>
        <translation>Was dieses Bild zeigt, etwa T1; der gleiche Name für alle Patienten</translation>
    </message>
    <message>
        <source>Your name:</source>
        <translation>Ihr Name:</translation>
    </message>
    <message>
        <source>annotated</source>
        <translation>annotiert</translation>
    </message>
    <message>
        <source>ignored</source>
        <translation>ignoriert</translation>
    </message>
    <message>
        <source>unlabelled</source>
        <translation>unmarkiert</translation>
    </message>
    <message>
        <source>validation</source>
        <translation>Validierung</translation>
    </message>
</context>
<context>
    <name>PseudoLabelCLLib</name>
    <message>
        <source>'{file}' holds label values that the project does not have: {found}. It has: 0 background, {expected}.</source>
        <translation>„{file}“ enthält Labelwerte, die das Projekt nicht hat: {found}. Es hat: 0 Hintergrund, {expected}.</translation>
    </message>
    <message>
        <source>'{file}' holds segments that are not structures of the project: {names}. Its structures are: {structures}.</source>
        <translation>„{file}“ enthält Segmente, die keine Strukturen des Projekts sind: {names}. Die Strukturen sind: {structures}.</translation>
    </message>
    <message>
        <source>'{one}' and '{other}' overlap in {count} voxel</source>
        <translation>„{one}“ und „{other}“ überlappen in {count} Voxel</translation>
    </message>
    <message>
        <source>'{one}' and '{other}' overlap in {count} voxels</source>
        <translation>„{one}“ und „{other}“ überlappen in {count} Voxeln</translation>
    </message>
    <message>
        <source>'{path}' already exists with different contents.</source>
        <translation>„{path}“ gibt es schon mit anderem Inhalt.</translation>
    </message>
    <message>
        <source>'{path}' could not be read or written: {reason}.</source>
        <translation>„{path}“ konnte nicht gelesen oder geschrieben werden: {reason}.</translation>
    </message>
    <message>
        <source>'{path}' could not be read: {reason}.</source>
        <translation>„{path}“ konnte nicht gelesen werden: {reason}.</translation>
    </message>
    <message>
        <source>'{path}' could not be used: {reason}.</source>
        <translation>„{path}“ konnte nicht verwendet werden: {reason}.</translation>
    </message>
    <message>
        <source>'{path}' could not be written: {reason}.</source>
        <translation>„{path}“ konnte nicht geschrieben werden: {reason}.</translation>
    </message>
    <message>
        <source>'{path}' has an unknown format; expected {formats} or a folder of DICOM slices.</source>
        <translation>„{path}“ hat ein unbekanntes Format; erwartet wird {formats} oder ein Ordner mit DICOM-Schichten.</translation>
    </message>
    <message>
        <source>'{path}' needs {needed:.1f} GB of memory, {free:.1f} GB are free; its header may be damaged.</source>
        <translation>„{path}“ braucht {needed} GB Speicher, frei sind {free} GB; vielleicht ist der Header beschädigt.</translation>
    </message>
    <message>
        <source>'{root}' is a file; a project is a folder.</source>
        <translation>„{root}“ ist eine Datei; ein Projekt ist ein Ordner.</translation>
    </message>
    <message>
        <source>0 or more</source>
        <translation>0 oder mehr</translation>
    </message>
    <message>
        <source>1 or more</source>
        <translation>1 oder mehr</translation>
    </message>
    <message>
        <source>2 or more</source>
        <translation>2 oder mehr</translation>
    </message>
    <message>
        <source>A validation case is measured on every slice, so it needs all of them.</source>
        <translation>Ein Validierungsfall wird auf jeder Schicht gemessen und braucht daher alle.</translation>
    </message>
    <message>
        <source>Accept the proposal instead.</source>
        <translation>Nehmen Sie stattdessen den Vorschlag an.</translation>
    </message>
    <message>
        <source>Add that image to the case, or leave the case out (role 'ignored').</source>
        <translation>Fügen Sie dem Fall dieses Bild hinzu, oder lassen Sie den Fall weg (Rolle „ignoriert“).</translation>
    </message>
    <message>
        <source>Add the volume again together with its segmentation.</source>
        <translation>Fügen Sie das Volumen noch einmal zusammen mit seiner Segmentierung hinzu.</translation>
    </message>
    <message>
        <source>Add them as structures</source>
        <translation>Als Strukturen hinzufügen</translation>
    </message>
    <message>
        <source>Add volumes without a segmentation.</source>
        <translation>Fügen Sie Volumen ohne Segmentierung hinzu.</translation>
    </message>
    <message>
        <source>All slices</source>
        <translation>Alle Schichten</translation>
    </message>
    <message>
        <source>All values are structures</source>
        <translation>Alle Werte sind Strukturen</translation>
    </message>
    <message>
        <source>All values are {lowest} too high</source>
        <translation>Alle Werte sind um {lowest} zu hoch</translation>
    </message>
    <message>
        <source>All, on the grid of {name}</source>
        <translation>Alle, auf dem Gitter von {name}</translation>
    </message>
    <message>
        <source>An unexpected error occurred: {error}: {reason}.</source>
        <translation>Ein unerwarteter Fehler ist aufgetreten: {error}: {reason}.</translation>
    </message>
    <message>
        <source>As they are stored</source>
        <translation>Wie gespeichert</translation>
    </message>
    <message>
        <source>At both ends the structures stop abruptly, while the image continues unchanged.</source>
        <translation>An beiden Enden hören die Strukturen plötzlich auf, während das Bild unverändert weitergeht.</translation>
    </message>
    <message>
        <source>Axial slices</source>
        <translation>Axiale Schichten</translation>
    </message>
    <message>
        <source>Case '{case}' has no voxels of '{label}'.</source>
        <translation>Fall „{case}“ hat keine Voxel von „{label}“.</translation>
    </message>
    <message>
        <source>Case '{case}' has no {missing} image yet; it needs one before training.</source>
        <translation>Fall „{case}“ hat noch kein Bild {missing}; vor dem Training braucht er eines.</translation>
    </message>
    <message>
        <source>Case '{case}' has no {missing} image.</source>
        <translation>Fall „{case}“ hat kein Bild {missing}.</translation>
    </message>
    <message>
        <source>Case '{case}' is drawn on {count} of its {all} slices.</source>
        <translation>Fall „{case}“ ist auf {count} seiner {all} Schichten gezeichnet.</translation>
    </message>
    <message>
        <source>Case {names} cannot be {role}: a person's segmentation is missing.</source>
        <translation>Fall {names} kann nicht „{role}“ sein: Es fehlt eine Segmentierung von Hand.</translation>
    </message>
    <message>
        <source>Check that both are of the same patient and the same examination.</source>
        <translation>Prüfen Sie, ob beide von demselben Patienten und derselben Untersuchung sind.</translation>
    </message>
    <message>
        <source>Check that it belongs here.</source>
        <translation>Prüfen Sie, ob er hierher gehört.</translation>
    </message>
    <message>
        <source>Check that it is the right file.</source>
        <translation>Prüfen Sie, ob es die richtige Datei ist.</translation>
    </message>
    <message>
        <source>Check that it was not moved or deleted, and that its disk or network drive is connected.</source>
        <translation>Prüfen Sie, ob sie verschoben oder gelöscht wurde und ob das Laufwerk verbunden ist.</translation>
    </message>
    <message>
        <source>Check the disk and try again.</source>
        <translation>Prüfen Sie den Datenträger und versuchen Sie es noch einmal.</translation>
    </message>
    <message>
        <source>Check the images for extreme values, or lower the learning rate.</source>
        <translation>Prüfen Sie die Bilder auf extreme Werte, oder senken Sie die Lernrate.</translation>
    </message>
    <message>
        <source>Check the path, or create a project there.</source>
        <translation>Prüfen Sie den Pfad, oder legen Sie dort ein Projekt an.</translation>
    </message>
    <message>
        <source>Check the path.</source>
        <translation>Prüfen Sie den Pfad.</translation>
    </message>
    <message>
        <source>Check the permissions of the file and its folder.</source>
        <translation>Prüfen Sie die Rechte der Datei und ihres Ordners.</translation>
    </message>
    <message>
        <source>Checking '{case}'</source>
        <translation>Prüfe „{case}“</translation>
    </message>
    <message>
        <source>Choose a folder that you can write to.</source>
        <translation>Wählen Sie einen Ordner, in den Sie schreiben können.</translation>
    </message>
    <message>
        <source>Choose a new or empty folder for the project.</source>
        <translation>Wählen Sie einen neuen oder leeren Ordner für das Projekt.</translation>
    </message>
    <message>
        <source>Choose another folder, or move that file away.</source>
        <translation>Wählen Sie einen anderen Ordner, oder verschieben Sie die Datei.</translation>
    </message>
    <message>
        <source>Choose another folder.</source>
        <translation>Wählen Sie einen anderen Ordner.</translation>
    </message>
    <message>
        <source>Choose its terminology in the project's structures.</source>
        <translation>Wählen Sie ihre Terminologie in den Strukturen des Projekts.</translation>
    </message>
    <message>
        <source>Close it there, or wait until it has finished.</source>
        <translation>Schließen Sie es dort, oder warten Sie, bis es fertig ist.</translation>
    </message>
    <message>
        <source>Close other programs or choose smaller settings, then start the job again.</source>
        <translation>Schließen Sie andere Programme oder wählen Sie kleinere Einstellungen, und starten Sie den Auftrag noch einmal.</translation>
    </message>
    <message>
        <source>Close other programs or choose smaller settings, then start the job again: it continues from its last checkpoint.</source>
        <translation>Schließen Sie andere Programme oder wählen Sie kleinere Einstellungen, und starten Sie den Auftrag noch einmal: Er geht beim letzten Zwischenstand weiter.</translation>
    </message>
    <message>
        <source>Close other programs, or crop the volume.</source>
        <translation>Schließen Sie andere Programme, oder schneiden Sie das Volumen zu.</translation>
    </message>
    <message>
        <source>Close other programs, then try again.</source>
        <translation>Schließen Sie andere Programme und versuchen Sie es noch einmal.</translation>
    </message>
    <message>
        <source>Copies agree to {agreement:.0%}, least on '{structure}' ({least:.0%}) and in the slice {slice}.</source>
        <translation>Die Kopien stimmen zu {agreement} überein, am wenigsten bei „{structure}“ ({least}) und in der Schicht {slice}.</translation>
    </message>
    <message>
        <source>Copies agree to {agreement:.0%}, least on '{structure}' ({least:.0%}) and in the slice {slice}. Nothing was found of {missing}.</source>
        <translation>Die Kopien stimmen zu {agreement} überein, am wenigsten bei „{structure}“ ({least}) und in der Schicht {slice}. Nichts gefunden wurde von {missing}.</translation>
    </message>
    <message>
        <source>Copies agree to {agreement:.0%}, least on '{structure}' ({least:.0%}). Look at the slice {slice} first.</source>
        <translation>Die Kopien stimmen zu {agreement} überein, am wenigsten bei „{structure}“ ({least}). Sehen Sie sich zuerst die Schicht {slice} an.</translation>
    </message>
    <message>
        <source>Copies agree to {agreement:.0%}, least on '{structure}' ({least:.0%}). Look at the slice {slice} first. Nothing was found of {missing}.</source>
        <translation>Die Kopien stimmen zu {agreement} überein, am wenigsten bei „{structure}“ ({least}). Sehen Sie sich zuerst die Schicht {slice} an. Nichts gefunden wurde von {missing}.</translation>
    </message>
    <message>
        <source>Coronal slices</source>
        <translation>Koronale Schichten</translation>
    </message>
    <message>
        <source>Create a new project to use another value.</source>
        <translation>Legen Sie für einen anderen Wert ein neues Projekt an.</translation>
    </message>
    <message>
        <source>Drop these voxels</source>
        <translation>Diese Voxel verwerfen</translation>
    </message>
    <message>
        <source>Each as its own case</source>
        <translation>Jedes als eigenen Fall</translation>
    </message>
    <message>
        <source>Each by itself</source>
        <translation>Jedes einzeln</translation>
    </message>
    <message>
        <source>Every structure of case '{case}' is left out.</source>
        <translation>Alle Strukturen von Fall „{case}“ sind weggelassen.</translation>
    </message>
    <message>
        <source>Fix this, then train again.</source>
        <translation>Beheben Sie das und trainieren Sie dann noch einmal.</translation>
    </message>
    <message>
        <source>Free some space and try again.</source>
        <translation>Schaffen Sie Platz und versuchen Sie es noch einmal.</translation>
    </message>
    <message>
        <source>Give it another value.</source>
        <translation>Geben Sie einen anderen Wert an.</translation>
    </message>
    <message>
        <source>Give the new one another name (in a table: the column id), or replace that case.</source>
        <translation>Geben Sie dem neuen einen anderen Namen (in einer Tabelle: Spalte id), oder ersetzen Sie den Fall.</translation>
    </message>
    <message>
        <source>Give the project's folder.</source>
        <translation>Geben Sie den Ordner des Projekts an.</translation>
    </message>
    <message>
        <source>Give the segment the name of its structure, delete it, or add the structure.</source>
        <translation>Geben Sie dem Segment den Namen seiner Struktur, löschen Sie es, oder fügen Sie die Struktur hinzu.</translation>
    </message>
    <message>
        <source>In '{file}', no voxel is background (0); its values are {found}.</source>
        <translation>In „{file}“ ist kein Voxel Hintergrund (0); die Werte sind {found}.</translation>
    </message>
    <message>
        <source>In '{file}', {count} voxel belongs to no segment</source>
        <translation>In „{file}“ gehört {count} Voxel zu keinem Segment</translation>
    </message>
    <message>
        <source>In '{file}', {count} voxels belong to no segment</source>
        <translation>In „{file}“ gehören {count} Voxel zu keinem Segment</translation>
    </message>
    <message>
        <source>In '{file}', {found}</source>
        <translation>In „{file}“: {found}</translation>
    </message>
    <message>
        <source>In '{file}', {found}.</source>
        <translation>In „{file}“: {found}.</translation>
    </message>
    <message>
        <source>In '{folder}', {count} patient has several images each, such as '{first}': {names}. A case has one image, or all of them as channels.</source>
        <translation>In „{folder}“ hat {count} Patient mehrere Bilder, etwa „{first}“: {names}. Ein Fall hat ein Bild, oder alle als Kanäle.</translation>
    </message>
    <message>
        <source>In '{folder}', {count} patients have several images each, such as '{first}': {names}. A case has one image, or all of them as channels.</source>
        <translation>In „{folder}“ haben {count} Patienten je mehrere Bilder, etwa „{first}“: {names}. Ein Fall hat ein Bild, oder alle als Kanäle.</translation>
    </message>
    <message>
        <source>In reverse order</source>
        <translation>In umgekehrter Reihenfolge</translation>
    </message>
    <message>
        <source>Install the package again.</source>
        <translation>Installieren Sie das Paket noch einmal.</translation>
    </message>
    <message>
        <source>Install the packages that are missing or too old.</source>
        <translation>Installieren Sie die fehlenden oder veralteten Pakete.</translation>
    </message>
    <message>
        <source>It did a small calculation right.</source>
        <translation>Eine kleine Rechnung gelang.</translation>
    </message>
    <message>
        <source>It is an image</source>
        <translation>Es ist ein Bild</translation>
    </message>
    <message>
        <source>Leave it out</source>
        <translation>Weglassen</translation>
    </message>
    <message>
        <source>Left out, as answered: {found}</source>
        <translation>Wie beantwortet weggelassen: {found}</translation>
    </message>
    <message>
        <source>Look at the worker's last lines and at log.txt in the job's folder.</source>
        <translation>Sehen Sie die letzten Zeilen des Workers und log.txt im Ordner des Auftrags an.</translation>
    </message>
    <message>
        <source>Mark that image too.</source>
        <translation>Wählen Sie auch dieses Bild aus.</translation>
    </message>
    <message>
        <source>No project is open.</source>
        <translation>Kein Projekt ist geöffnet.</translation>
    </message>
    <message>
        <source>No, it is another</source>
        <translation>Nein, es ist eine andere</translation>
    </message>
    <message>
        <source>Not installed: {packages}.</source>
        <translation>Nicht installiert: {packages}.</translation>
    </message>
    <message>
        <source>Nothing was exported.</source>
        <translation>Nichts wurde exportiert.</translation>
    </message>
    <message>
        <source>Nothing was found in this volume.</source>
        <translation>In diesem Volumen wurde nichts gefunden.</translation>
    </message>
    <message>
        <source>Number {number}</source>
        <translation>Nummer {number}</translation>
    </message>
    <message>
        <source>On {count} slice between them its structures should be too, since they are at the same place before and after.</source>
        <translation>Auf {count} Schicht dazwischen sollten die Strukturen auch sein, da sie davor und danach an derselben Stelle liegen.</translation>
    </message>
    <message>
        <source>On {count} slices between them its structures should be too, since they are at the same place before and after.</source>
        <translation>Auf {count} Schichten dazwischen sollten die Strukturen auch sein, da sie davor und danach an derselben Stelle liegen.</translation>
    </message>
    <message>
        <source>Only the drawn slices</source>
        <translation>Nur die gezeichneten Schichten</translation>
    </message>
    <message>
        <source>Open a project first.</source>
        <translation>Öffnen Sie zuerst ein Projekt.</translation>
    </message>
    <message>
        <source>Open it, or choose another folder.</source>
        <translation>Öffnen Sie es, oder wählen Sie einen anderen Ordner.</translation>
    </message>
    <message>
        <source>Open the project again: everything that was answered is on disk.</source>
        <translation>Öffnen Sie das Projekt noch einmal: Alles Beantwortete ist gespeichert.</translation>
    </message>
    <message>
        <source>Please report it, with the file log.txt of the job's folder.</source>
        <translation>Bitte melden Sie ihn, mit der Datei log.txt aus dem Ordner des Auftrags.</translation>
    </message>
    <message>
        <source>Pre-training: decoder</source>
        <translation>Vortraining: Decoder</translation>
    </message>
    <message>
        <source>Pre-training: encoder</source>
        <translation>Vortraining: Encoder</translation>
    </message>
    <message>
        <source>Pre-training: masked images</source>
        <translation>Vortraining: verdeckte Bildteile</translation>
    </message>
    <message>
        <source>Pre-training: reading volumes</source>
        <translation>Vortraining: Volumen lesen</translation>
    </message>
    <message>
        <source>PyTorch found no GPU that it can use.</source>
        <translation>PyTorch hat keine verwendbare GPU gefunden.</translation>
    </message>
    <message>
        <source>Reading '{case}'</source>
        <translation>Lese „{case}“</translation>
    </message>
    <message>
        <source>Reject the proposal instead.</source>
        <translation>Lehnen Sie stattdessen den Vorschlag ab.</translation>
    </message>
    <message>
        <source>Replace them in another program and save the image again.</source>
        <translation>Ersetzen Sie sie in einem anderen Programm und speichern Sie das Bild neu.</translation>
    </message>
    <message>
        <source>Resample it</source>
        <translation>Umrechnen</translation>
    </message>
    <message>
        <source>Restore the folder and open the project again, or open another one.</source>
        <translation>Stellen Sie den Ordner wieder her und öffnen Sie das Projekt erneut, oder öffnen Sie ein anderes.</translation>
    </message>
    <message>
        <source>Restore the project from a backup.</source>
        <translation>Stellen Sie das Projekt aus einer Sicherung wieder her.</translation>
    </message>
    <message>
        <source>Round {index} continues after step {step}.</source>
        <translation>Runde {index} geht nach Schritt {step} weiter.</translation>
    </message>
    <message>
        <source>Round {index} needs an annotated volume: segment one (an unlabelled one of the project will do) and add it with its segmentation.</source>
        <translation>Runde {index} braucht ein annotiertes Volumen: Segmentieren Sie eines (auch ein unmarkiertes des Projekts) und fügen Sie es mit seiner Segmentierung hinzu.</translation>
    </message>
    <message>
        <source>Round {index} will learn from {count} human segmentation</source>
        <translation>Runde {index} lernt aus {count} Segmentierung von Hand</translation>
    </message>
    <message>
        <source>Round {index} will learn from {count} human segmentations</source>
        <translation>Runde {index} lernt aus {count} Segmentierungen von Hand</translation>
    </message>
    <message>
        <source>Round {index}: measuring</source>
        <translation>Runde {index}: Messung</translation>
    </message>
    <message>
        <source>Round {index}: pseudo-labels</source>
        <translation>Runde {index}: Pseudo-Labels</translation>
    </message>
    <message>
        <source>Round {index}: reading {what}</source>
        <translation>Runde {index}: {what} lesen</translation>
    </message>
    <message>
        <source>Round {index}: report</source>
        <translation>Runde {index}: Bericht</translation>
    </message>
    <message>
        <source>Round {index}: training</source>
        <translation>Runde {index}: Training</translation>
    </message>
    <message>
        <source>Sagittal slices</source>
        <translation>Sagittale Schichten</translation>
    </message>
    <message>
        <source>Save the segmentation again with this image as its reference.</source>
        <translation>Speichern Sie die Segmentierung noch einmal mit diesem Bild als Referenz.</translation>
    </message>
    <message>
        <source>Segment it if it is visible there.</source>
        <translation>Segmentieren Sie die Struktur, wenn sie dort zu sehen ist.</translation>
    </message>
    <message>
        <source>Segmenting</source>
        <translation>Segmentieren</translation>
    </message>
    <message>
        <source>Show the case again.</source>
        <translation>Zeigen Sie den Fall noch einmal.</translation>
    </message>
    <message>
        <source>Some questions must be answered before training. {questions}</source>
        <translation>Vor dem Training müssen einige Fragen beantwortet werden. {questions}</translation>
    </message>
    <message>
        <source>Start the job again: it continues from its last checkpoint.</source>
        <translation>Starten Sie den Auftrag noch einmal: Er geht beim letzten Zwischenstand weiter.</translation>
    </message>
    <message>
        <source>The cases {names} cannot be {role}: a person's segmentation is missing.</source>
        <translation>Die Fälle {names} können nicht „{role}“ sein: Es fehlt eine Segmentierung von Hand.</translation>
    </message>
    <message>
        <source>The computer ran out of memory: {reason}.</source>
        <translation>Der Speicher des Computers reicht nicht: {reason}.</translation>
    </message>
    <message>
        <source>The correction of case '{case}' is empty.</source>
        <translation>Die Korrektur von Fall „{case}“ ist leer.</translation>
    </message>
    <message>
        <source>The correction of case '{case}' is identical to the proposal.</source>
        <translation>Die Korrektur von Fall „{case}“ gleicht dem Vorschlag.</translation>
    </message>
    <message>
        <source>The earlier structure wins</source>
        <translation>Die frühere Struktur gilt</translation>
    </message>
    <message>
        <source>The file '{path}' is empty.</source>
        <translation>Die Datei „{path}“ ist leer.</translation>
    </message>
    <message>
        <source>The files of the project '{root}' contradict each other: {reason}</source>
        <translation>Die Dateien des Projekts „{root}“ widersprechen einander: {reason}</translation>
    </message>
    <message>
        <source>The folder '{root}' holds other files ({files}{more}).</source>
        <translation>Der Ordner „{root}“ enthält andere Dateien ({files}{more}).</translation>
    </message>
    <message>
        <source>The helper process that reads and writes projects</source>
        <translation>Der Hilfsprozess für Projekte</translation>
    </message>
    <message>
        <source>The image '{file}' looks like a label map: it has {values} different values, all whole numbers, and {share:.1%} of its voxels are {value} ({others}). A label map must not be trained on as an image.</source>
        <translation>Das Bild „{file}“ sieht wie eine Label-Map aus: Es hat {values} verschiedene Werte, alle ganzzahlig, und {share} seiner Voxel sind {value} ({others}). Eine Label-Map darf nicht als Bild trainiert werden.</translation>
    </message>
    <message>
        <source>The image of case '{case}' has {count} voxel whose intensity is not a finite number.</source>
        <translation>Das Bild von Fall „{case}“ hat {count} Voxel, dessen Intensität keine endliche Zahl ist.</translation>
    </message>
    <message>
        <source>The image of case '{case}' has {count} voxels whose intensity is not a finite number.</source>
        <translation>Das Bild von Fall „{case}“ hat {count} Voxel, deren Intensität keine endliche Zahl ist.</translation>
    </message>
    <message>
        <source>The image of case '{case}' is constant: every voxel is {value}.</source>
        <translation>Das Bild von Fall „{case}“ ist konstant: Jedes Voxel ist {value}.</translation>
    </message>
    <message>
        <source>The later structure wins</source>
        <translation>Die spätere Struktur gilt</translation>
    </message>
    <message>
        <source>The loss is not a number after step {step}: {losses}.</source>
        <translation>Nach Schritt {step} ist der Loss keine Zahl mehr: {losses}.</translation>
    </message>
    <message>
        <source>The model needs {channels} of each patient; of '{case}' there is no {missing} image.</source>
        <translation>Das Modell braucht {channels} von jedem Patienten; von „{case}“ gibt es kein Bild {missing}.</translation>
    </message>
    <message>
        <source>The name is right</source>
        <translation>Der Name stimmt</translation>
    </message>
    <message>
        <source>The project '{folder}' is in use by {who}.</source>
        <translation>Das Projekt „{folder}“ wird gerade von {who} benutzt.</translation>
    </message>
    <message>
        <source>The project '{root}' is no longer there: its folder was deleted or renamed, or its drive was disconnected.</source>
        <translation>Das Projekt „{root}“ ist nicht mehr da: Der Ordner wurde gelöscht oder umbenannt, oder das Laufwerk ist getrennt.</translation>
    </message>
    <message>
        <source>The project has no annotated case, and round 0 learns from those alone.</source>
        <translation>Das Projekt hat keinen annotierten Fall, und Runde 0 lernt nur aus solchen.</translation>
    </message>
    <message>
        <source>The project has no unlabelled case; joint rounds have nothing to add.</source>
        <translation>Das Projekt hat keinen unmarkierten Fall; spätere Runden haben nichts hinzuzufügen.</translation>
    </message>
    <message>
        <source>The proposal of '{case}' in round {index} is not the one shown here: its file has changed since.</source>
        <translation>Der Vorschlag für „{case}“ aus Runde {index} ist nicht der hier gezeigte: Seine Datei hat sich seitdem geändert.</translation>
    </message>
    <message>
        <source>The proposal of '{case}' shown here is round {shown}'s; round {index} has made a new proposal.</source>
        <translation>Der hier gezeigte Vorschlag für „{case}“ ist aus Runde {shown}; Runde {index} hat einen neuen gemacht.</translation>
    </message>
    <message>
        <source>The proposal of round {index} for case '{case}' is not there yet: the round has made {there} of {all}.</source>
        <translation>Der Vorschlag von Runde {index} für Fall „{case}“ ist noch nicht da: Die Runde hat {there} von {all} gemacht.</translation>
    </message>
    <message>
        <source>The segmentation '{file}' does not lie where the image lies: {inside} of its {count} labelled voxels are inside it. The image has {grid1}, the segmentation {grid2}.</source>
        <translation>Die Segmentierung „{file}“ liegt nicht dort, wo das Bild liegt: {inside} ihrer {count} markierten Voxel liegen darin. Das Bild hat {grid1}, die Segmentierung {grid2}.</translation>
    </message>
    <message>
        <source>The segmentation '{file}' has a different grid ({grid1}) from its image ({grid2})</source>
        <translation>Die Segmentierung „{file}“ hat ein anderes Gitter ({grid1}) als ihr Bild ({grid2})</translation>
    </message>
    <message>
        <source>The segmentation '{file}' has as many voxels along each axis as its image, but its header puts them elsewhere, up to {distance:.4g} mm away (image: {grid1}; segmentation: {grid2}). {voxels} would move.</source>
        <translation>Die Segmentierung „{file}“ hat entlang jeder Achse so viele Voxel wie ihr Bild, nach ihrem Header liegen sie aber woanders, bis zu {distance} mm entfernt (Bild: {grid1}; Segmentierung: {grid2}). {voxels} würden verschoben.</translation>
    </message>
    <message>
        <source>The segmentation '{file}' is empty: no voxel has a label value.</source>
        <translation>Die Segmentierung „{file}“ ist leer: Kein Voxel hat einen Labelwert.</translation>
    </message>
    <message>
        <source>The setting '{name}' is fixed, since round 0 has begun.</source>
        <translation>Die Einstellung „{name}“ steht fest, da Runde 0 begonnen hat.</translation>
    </message>
    <message>
        <source>The setting '{name}' must be {expected}; it is {got}.</source>
        <translation>Die Einstellung „{name}“ muss {expected} sein; sie ist {got}.</translation>
    </message>
    <message>
        <source>The settings{within}</source>
        <translation>Die Einstellungen{within}</translation>
    </message>
    <message>
        <source>The structure '{structure}' has no terminology codes{more}.</source>
        <translation>Die Struktur „{structure}“ hat keine Terminologie-Codes{more}.</translation>
    </message>
    <message>
        <source>The terminology is right</source>
        <translation>Die Terminologie stimmt</translation>
    </message>
    <message>
        <source>The worker</source>
        <translation>Der Worker</translation>
    </message>
    <message>
        <source>The {channel} image of case '{case}' ({grid1}) covers {percent} % of its {first} image ({grid2}); the network sees it resampled onto that grid by position, and its lowest value where it has no voxels.</source>
        <translation>Das Bild {channel} von Fall „{case}“ ({grid1}) deckt {percent} % des Bildes {first} ({grid2}) ab; das Netz sieht es nach der Lage auf dieses Gitter umgerechnet, und wo es keine Voxel hat, seinen kleinsten Wert.</translation>
    </message>
    <message>
        <source>The {channel} image of case '{case}' ({grid1}) shows another place than its {first} image ({grid2}): they do not overlap.</source>
        <translation>Das Bild {channel} von Fall „{case}“ ({grid1}) zeigt eine andere Stelle als das Bild {first} ({grid2}): Sie überlappen nicht.</translation>
    </message>
    <message>
        <source>The {channel} image of case '{case}' has a different grid ({grid1}) from its {first} image ({grid2}); the network sees it resampled onto that grid by position.</source>
        <translation>Das Bild {channel} von Fall „{case}“ hat ein anderes Gitter ({grid1}) als das Bild {first} ({grid2}); das Netz sieht es nach der Lage auf dieses Gitter umgerechnet.</translation>
    </message>
    <message>
        <source>The {figure} of case '{case}' is {value}; the other cases have about {typical}.</source>
        <translation>{figure} von Fall „{case}“: {value}; die anderen Fälle haben etwa {typical}.</translation>
    </message>
    <message>
        <source>There is a case '{case}' in the project already ({role}).</source>
        <translation>Im Projekt gibt es schon einen Fall „{case}“ ({role}).</translation>
    </message>
    <message>
        <source>There is a project in '{root}' already.</source>
        <translation>In „{root}“ liegt schon ein Projekt.</translation>
    </message>
    <message>
        <source>The file '{path}' was not found.</source>
        <translation>Die Datei „{path}“ gibt es nicht.</translation>
    </message>
    <message>
        <source>The file or folder '{path}' was not found.</source>
        <translation>Die Datei oder den Ordner „{path}“ gibt es nicht.</translation>
    </message>
    <message>
        <source>The folder '{folder}' was not found.</source>
        <translation>Den Ordner „{folder}“ gibt es nicht.</translation>
    </message>
    <message>
        <source>The folder '{root}' was not found.</source>
        <translation>Den Ordner „{root}“ gibt es nicht.</translation>
    </message>
    <message>
        <source>'{root}' is not a project folder: it has no file project.json.</source>
        <translation>In „{root}“ liegt kein Projekt (keine Datei project.json).</translation>
    </message>
    <message>
        <source>There is no segmentation to export: no case is annotated, accepted or corrected.</source>
        <translation>Es gibt nichts zu exportieren: Kein Fall ist annotiert, angenommen oder korrigiert.</translation>
    </message>
    <message>
        <source>They are background</source>
        <translation>Sie sind Hintergrund</translation>
    </message>
    <message>
        <source>They are {name}</source>
        <translation>Sie sind {name}</translation>
    </message>
    <message>
        <source>This project was made on another computer, or by an earlier version of the program; check its cases before you train.</source>
        <translation>Dieses Projekt wurde auf einem anderen Computer oder mit einer früheren Version erstellt; prüfen Sie es, bevor Sie trainieren.</translation>
    </message>
    <message>
        <source>To continue, copy the project to a disk that you can write to.</source>
        <translation>Kopieren Sie das Projekt zum Weiterarbeiten auf einen beschreibbaren Datenträger.</translation>
    </message>
    <message>
        <source>Train anyway</source>
        <translation>Trotzdem trainieren</translation>
    </message>
    <message>
        <source>Training cannot start. {errors}</source>
        <translation>Das Training kann nicht beginnen. {errors}</translation>
    </message>
    <message>
        <source>Use it voxel for voxel</source>
        <translation>Voxel für Voxel verwenden</translation>
    </message>
    <message>
        <source>Use smaller pixels</source>
        <translation>Kleinere Pixel verwenden</translation>
    </message>
    <message>
        <source>Use the qform</source>
        <translation>qform verwenden</translation>
    </message>
    <message>
        <source>Use the sform</source>
        <translation>sform verwenden</translation>
    </message>
    <message>
        <source>Wait until it is there, or choose another case.</source>
        <translation>Warten Sie, bis er da ist, oder wählen Sie einen anderen Fall.</translation>
    </message>
    <message>
        <source>Wait until the next proposals are there.</source>
        <translation>Warten Sie, bis die nächsten Vorschläge da sind.</translation>
    </message>
    <message>
        <source>Writing '{case}'</source>
        <translation>Schreibe „{case}“</translation>
    </message>
    <message>
        <source>Yes, it is that structure</source>
        <translation>Ja, es ist diese Struktur</translation>
    </message>
    <message>
        <source>You cannot write to the project's folder: the project is open read-only.</source>
        <translation>In den Ordner des Projekts kann nicht geschrieben werden: Das Projekt ist schreibgeschützt geöffnet.</translation>
    </message>
    <message>
        <source>a command line</source>
        <translation>einer Kommandozeile</translation>
    </message>
    <message>
        <source>a fraction in 0..1</source>
        <translation>ein Anteil in 0..1</translation>
    </message>
    <message>
        <source>a training</source>
        <translation>einem Training</translation>
    </message>
    <message>
        <source>accepted</source>
        <translation>angenommen</translation>
    </message>
    <message>
        <source>access is denied</source>
        <translation>der Zugriff wurde verweigert</translation>
    </message>
    <message>
        <source>adds each value to the project as a structure</source>
        <translation>fügt dem Projekt jeden Wert als Struktur hinzu</translation>
    </message>
    <message>
        <source>annotated</source>
        <translation>annotiert</translation>
    </message>
    <message>
        <source>another PseudoLabelCL session</source>
        <translation>einer anderen PseudoLabelCL-Sitzung</translation>
    </message>
    <message>
        <source>another process</source>
        <translation>einem anderen Prozess</translation>
    </message>
    <message>
        <source>assigns them to the one further up</source>
        <translation>ordnet sie der weiter oben zu</translation>
    </message>
    <message>
        <source>assigns them to the structure further down the list</source>
        <translation>ordnet sie der Struktur weiter unten in der Liste zu</translation>
    </message>
    <message>
        <source>between 0 and 1</source>
        <translation>zwischen 0 und 1</translation>
    </message>
    <message>
        <source>cannot be read: the file is damaged or cut off</source>
        <translation>kann nicht gelesen werden: Die Datei ist beschädigt oder abgeschnitten</translation>
    </message>
    <message>
        <source>closed</source>
        <translation>abgeschlossen</translation>
    </message>
    <message>
        <source>corrected</source>
        <translation>korrigiert</translation>
    </message>
    <message>
        <source>counts the slices that were not drawn as background</source>
        <translation>zählt nicht gezeichnete Schichten als Hintergrund</translation>
    </message>
    <message>
        <source>counts the value {value} as background</source>
        <translation>zählt den Wert {value} als Hintergrund</translation>
    </message>
    <message>
        <source>counts them as background</source>
        <translation>zählt sie als Hintergrund</translation>
    </message>
    <message>
        <source>drops these voxels</source>
        <translation>verwirft diese Voxel</translation>
    </message>
    <message>
        <source>field of view</source>
        <translation>Bildfeld</translation>
    </message>
    <message>
        <source>goes by the name</source>
        <translation>richtet sich nach dem Namen</translation>
    </message>
    <message>
        <source>goes by the terminology</source>
        <translation>richtet sich nach der Terminologie</translation>
    </message>
    <message>
        <source>human segmentations</source>
        <translation>Segmentierungen von Hand</translation>
    </message>
    <message>
        <source>ignored</source>
        <translation>ignoriert</translation>
    </message>
    <message>
        <source>in review</source>
        <translation>im Review</translation>
    </message>
    <message>
        <source>intensity range</source>
        <translation>Intensitätsbereich</translation>
    </message>
    <message>
        <source>keeps the slices in their order</source>
        <translation>behält die Reihenfolge der Schichten</translation>
    </message>
    <message>
        <source>learns from the drawn slices alone; the others are unlabelled and get proposals</source>
        <translation>lernt nur aus den gezeichneten Schichten; die anderen sind unmarkiert und bekommen Vorschläge</translation>
    </message>
    <message>
        <source>leaves the file out</source>
        <translation>lässt die Datei weg</translation>
    </message>
    <message>
        <source>makes all images of a patient channels of one case, whose segmentations lie on '{name}'</source>
        <translation>macht aus allen Bildern eines Patienten die Kanäle eines Falls, dessen Segmentierungen auf „{name}“ liegen</translation>
    </message>
    <message>
        <source>makes each image its own case</source>
        <translation>macht aus jedem Bild einen eigenen Fall</translation>
    </message>
    <message>
        <source>makes each one its own case</source>
        <translation>macht aus jedem einen eigenen Fall</translation>
    </message>
    <message>
        <source>no further details</source>
        <translation>keine weiteren Angaben</translation>
    </message>
    <message>
        <source>number of slices</source>
        <translation>Zahl der Schichten</translation>
    </message>
    <message>
        <source>pixel size</source>
        <translation>Pixelgröße</translation>
    </message>
    <message>
        <source>pseudo-labelling</source>
        <translation>beim Pseudo-Labeln</translation>
    </message>
    <message>
        <source>pseudo-labels</source>
        <translation>Pseudo-Labels</translation>
    </message>
    <message>
        <source>rejected</source>
        <translation>abgelehnt</translation>
    </message>
    <message>
        <source>resamples it onto the grid of the image, by position</source>
        <translation>rechnet sie nach der Lage auf das Gitter des Bildes um</translation>
    </message>
    <message>
        <source>reverses the order for the network</source>
        <translation>kehrt die Reihenfolge für das Netz um</translation>
    </message>
    <message>
        <source>segments each one by itself</source>
        <translation>segmentiert jedes einzeln</translation>
    </message>
    <message>
        <source>slice distance</source>
        <translation>Schichtabstand</translation>
    </message>
    <message>
        <source>slices every volume axially</source>
        <translation>schneidet alle Volumen axial</translation>
    </message>
    <message>
        <source>slices every volume coronally</source>
        <translation>schneidet alle Volumen koronal</translation>
    </message>
    <message>
        <source>slices every volume sagittally</source>
        <translation>schneidet alle Volumen sagittal</translation>
    </message>
    <message>
        <source>subtracts {lowest} from every value</source>
        <translation>zieht {lowest} von jedem Wert ab</translation>
    </message>
    <message>
        <source>takes every voxel as part of a structure</source>
        <translation>nimmt jedes Voxel als Teil einer Struktur</translation>
    </message>
    <message>
        <source>takes it as one that the project does not have</source>
        <translation>nimmt es als eine, die das Projekt nicht hat</translation>
    </message>
    <message>
        <source>takes it as that structure</source>
        <translation>nimmt es als diese Struktur</translation>
    </message>
    <message>
        <source>takes number {number}</source>
        <translation>nimmt Nummer {number}</translation>
    </message>
    <message>
        <source>takes the images called '{name}'</source>
        <translation>nimmt die Bilder namens „{name}“</translation>
    </message>
    <message>
        <source>takes the qform, as the scanner wrote it</source>
        <translation>nimmt die qform, wie das Gerät sie geschrieben hat</translation>
    </message>
    <message>
        <source>takes the sform, as nibabel, FSL and SPM do</source>
        <translation>nimmt die sform, wie nibabel, FSL und SPM</translation>
    </message>
    <message>
        <source>takes them as '{name}'</source>
        <translation>nimmt sie als „{name}“</translation>
    </message>
    <message>
        <source>the disk is full</source>
        <translation>der Datenträger ist voll</translation>
    </message>
    <message>
        <source>the disk is read-only</source>
        <translation>der Datenträger ist schreibgeschützt</translation>
    </message>
    <message>
        <source>the file or its folder does not exist (any more)</source>
        <translation>die Datei oder ihr Ordner ist nicht (mehr) da</translation>
    </message>
    <message>
        <source>there is a file where a folder is expected</source>
        <translation>wo ein Ordner erwartet wird, liegt eine Datei</translation>
    </message>
    <message>
        <source>training</source>
        <translation>im Training</translation>
    </message>
    <message>
        <source>trains with what is left of it</source>
        <translation>trainiert mit dem, was davon übrig ist</translation>
    </message>
    <message>
        <source>unlabelled</source>
        <translation>unmarkiert</translation>
    </message>
    <message>
        <source>uses it as an image</source>
        <translation>verwendet es als Bild</translation>
    </message>
    <message>
        <source>uses it voxel for voxel, whatever its header says</source>
        <translation>verwendet sie Voxel für Voxel, gleich was ihr Header angibt</translation>
    </message>
    <message>
        <source>validation</source>
        <translation>Validierung</translation>
    </message>
    <message>
        <source>version {version} is too old, {oldest} or later is needed</source>
        <translation>Version {version} ist zu alt, nötig ist {oldest} oder neuer</translation>
    </message>
    <message>
        <source>your disk quota is used up</source>
        <translation>Ihr Speicherkontingent ist erschöpft</translation>
    </message>
    <message>
        <source>{count} labelled voxel</source>
        <translation>{count} markiertes Voxel</translation>
    </message>
    <message>
        <source>{count} labelled voxel of '{file}' lies outside the image</source>
        <translation>{count} markiertes Voxel von „{file}“ liegt außerhalb des Bildes</translation>
    </message>
    <message>
        <source>{count} labelled voxels</source>
        <translation>{count} markierte Voxel</translation>
    </message>
    <message>
        <source>{count} labelled voxels of '{file}' lie outside the image</source>
        <translation>{count} markierte Voxel von „{file}“ liegen außerhalb des Bildes</translation>
    </message>
    <message>
        <source>{count} of them on single slices only</source>
        <translation>{count} davon nur auf einzelnen Schichten</translation>
    </message>
    <message>
        <source>{count} of them on single voxels only</source>
        <translation>{count} davon nur auf einzelnen Voxeln</translation>
    </message>
    <message>
        <source>{count} of them without some structures</source>
        <translation>{count} davon ohne manche Strukturen</translation>
    </message>
    <message>
        <source>{count} of {total} proposals are there; the order is provisional until all are.</source>
        <translation>{count} von {total} Vorschlägen sind da; die Reihenfolge ist vorläufig, bis alle da sind.</translation>
    </message>
    <message>
        <source>{count} of {total} proposals is there; the order is provisional until all are.</source>
        <translation>{count} von {total} Vorschlägen ist da; die Reihenfolge ist vorläufig, bis alle da sind.</translation>
    </message>
    <message>
        <source>{count} pseudo-label</source>
        <translation>{count} Pseudo-Label</translation>
    </message>
    <message>
        <source>{count} pseudo-labels</source>
        <translation>{count} Pseudo-Labels</translation>
    </message>
    <message>
        <source>{count} rejected case is left out</source>
        <translation>{count} abgelehnter Fall bleibt weg</translation>
    </message>
    <message>
        <source>{count} rejected cases are left out</source>
        <translation>{count} abgelehnte Fälle bleiben weg</translation>
    </message>
    <message>
        <source>{count} slices</source>
        <translation>{count} Schichten</translation>
    </message>
    <message>
        <source>{count} voxel is not</source>
        <translation>{count} Voxel nicht</translation>
    </message>
    <message>
        <source>{count} voxels are not</source>
        <translation>{count} Voxel nicht</translation>
    </message>
    <message>
        <source>{grids}: {between} lie between voxels of the image.</source>
        <translation>{grids}: {between} liegen zwischen Voxeln des Bildes.</translation>
    </message>
    <message>
        <source>{grid} around ({place}) mm</source>
        <translation>{grid} um ({place}) mm</translation>
    </message>
    <message>
        <source>{holder} (process {process} on {machine})</source>
        <translation>{holder} (Prozess {process} auf {machine})</translation>
    </message>
    <message>
        <source>{moved} of its {count} labelled voxels</source>
        <translation>{moved} ihrer {count} markierten Voxel</translation>
    </message>
    <message>
        <source>{package} is installed but does not work: {reason}.</source>
        <translation>{package} ist installiert, funktioniert aber nicht: {reason}.</translation>
    </message>
    <message>
        <source>{size} voxels of {spacing} mm</source>
        <translation>{size} Voxel von {spacing} mm</translation>
    </message>
    <message>
        <source>{subject} ended before its job was done</source>
        <translation>{subject} endete, bevor sein Auftrag fertig war</translation>
    </message>
    <message>
        <source>{subject} was killed from outside, most often because the computer's memory ran out</source>
        <translation>{subject} wurde von außen beendet, meist weil der Speicher nicht reichte</translation>
    </message>
    <message>
        <source>{value} ({count} voxel)</source>
        <translation>{value} ({count} Voxel)</translation>
    </message>
    <message>
        <source>{value} ({count} voxels)</source>
        <translation>{value} ({count} Voxel)</translation>
    </message>
    <message>
        <source>{value} is background</source>
        <translation>{value} ist Hintergrund</translation>
    </message>
    <message>
        <source>{what} (exit code {code})</source>
        <translation>{what} (Exit-Code {code})</translation>
    </message>
    <message>
        <source>{what} and {pseudo}</source>
        <translation>{what} und {pseudo}</translation>
    </message>
</context>
<context>
    <name>cases.adding</name>
    <message>
        <source>Add volumes</source>
        <translation>Volumen hinzufügen</translation>
    </message>
</context>
<context>
    <name>cases.case_columns</name>
    <message>
        <source>1 slice</source>
        <translation>1 Schicht</translation>
    </message>
    <message>
        <source>Doubt</source>
        <translation>Zweifel</translation>
    </message>
    <message>
        <source>Images</source>
        <translation>Bilder</translation>
    </message>
    <message>
        <source>Missing: the {channels} image. Add it with a right click.</source>
        <translation>Es fehlt das Bild {channels}. Fügen Sie es mit einem Rechtsklick hinzu.</translation>
    </message>
    <message>
        <source>Role</source>
        <translation>Rolle</translation>
    </message>
    <message>
        <source>State</source>
        <translation>Stand</translation>
    </message>
    <message>
        <source>The volume cannot be found: is its drive connected?</source>
        <translation>Das Volumen wurde nicht gefunden: Ist das Laufwerk verbunden?</translation>
    </message>
    <message>
        <source>Volume</source>
        <translation>Volumen</translation>
    </message>
    <message>
        <source>voxels of {size} mm</source>
        <translation>Voxel von {size} mm</translation>
    </message>
    <message>
        <source>{count} slices</source>
        <translation>{count} Schichten</translation>
    </message>
    <message>
        <source>{images}; {missing} missing</source>
        <translation>{images}; {missing} fehlt</translation>
    </message>
</context>
<context>
    <name>cases.cases</name>
    <message>
        <source>Further image of this patient...</source>
        <translation>Weiteres Bild dieses Patienten...</translation>
    </message>
    <message>
        <source>Show</source>
        <translation>Zeigen</translation>
    </message>
</context>
<context>
    <name>cases.cases_actions</name>
    <message>
        <source>1 more is listed below the table of cases.</source>
        <translation>1 weitere Meldung steht unter der Tabelle der Fälle.</translation>
    </message>
    <message>
        <source>Choose the answer below the table of cases.</source>
        <translation>Wählen Sie die Antwort unter der Tabelle der Fälle.</translation>
    </message>
    <message>
        <source>Error: {line}</source>
        <translation>Fehler: {line}</translation>
    </message>
    <message>
        <source>The answer is being saved.</source>
        <translation>Die Antwort wird gespeichert.</translation>
    </message>
    <message>
        <source>The cases are being checked.</source>
        <translation>Die Fälle werden geprüft.</translation>
    </message>
    <message>
        <source>The cases are being removed.</source>
        <translation>Die Fälle werden entfernt.</translation>
    </message>
    <message>
        <source>The check found no problems.</source>
        <translation>Die Prüfung fand keine Probleme.</translation>
    </message>
    <message>
        <source>The image is being read.</source>
        <translation>Das Bild wird gelesen.</translation>
    </message>
    <message>
        <source>The roles are being changed.</source>
        <translation>Die Rollen werden geändert.</translation>
    </message>
    <message>
        <source>The volumes are being read.</source>
        <translation>Die Volumen werden gelesen.</translation>
    </message>
    <message>
        <source>There is a question about the files of '{case}'.</source>
        <translation>Es gibt eine Frage zu den Dateien von „{case}“.</translation>
    </message>
    <message>
        <source>{count} more are listed below the table of cases.</source>
        <translation>{count} weitere Meldungen stehen unter der Tabelle der Fälle.</translation>
    </message>
</context>
<context>
    <name>cases.further</name>
    <message>
        <source>Further image of the patient</source>
        <translation>Weiteres Bild des Patienten</translation>
    </message>
    <message>
        <source>Further image of the patient '{case}':</source>
        <translation>Weiteres Bild des Patienten „{case}“:</translation>
    </message>
    <message>
        <source>Say what the first image of each patient is, such as FLAIR</source>
        <translation>Sagen Sie, was das erste Bild jedes Patienten ist, etwa FLAIR</translation>
    </message>
    <message>
        <source>Say what the image is, such as T1</source>
        <translation>Sagen Sie, was das Bild ist, etwa T1</translation>
    </message>
</context>
<context>
    <name>cases.show_cases</name>
    <message>
        <source>Add volumes first.</source>
        <translation>Fügen Sie zuerst Volumen hinzu.</translation>
    </message>
    <message>
        <source>Adds another image of the selected patient.</source>
        <translation>Fügt ein weiteres Bild des gewählten Patienten hinzu.</translation>
    </message>
    <message>
        <source>Adds volumes from files.</source>
        <translation>Fügt Volumen aus Dateien hinzu.</translation>
    </message>
    <message>
        <source>Changes the role of the selected cases.</source>
        <translation>Ändert die Rolle der ausgewählten Fälle.</translation>
    </message>
    <message>
        <source>Checks every case before training.</source>
        <translation>Prüft jeden Fall vor dem Training.</translation>
    </message>
    <message>
        <source>Removes the selected cases; what you drew is kept.</source>
        <translation>Entfernt die ausgewählten Fälle; was Sie gezeichnet haben, bleibt erhalten.</translation>
    </message>
</context>
<context>
    <name>mrml_bridge.doubt_colors</name>
    <message>
        <source>Doubt</source>
        <translation>Zweifel</translation>
    </message>
</context>
<context>
    <name>mrml_bridge.proposals</name>
    <message>
        <source>Show the case again.</source>
        <translation>Zeigen Sie den Fall noch einmal.</translation>
    </message>
</context>
<context>
    <name>mrml_bridge.statuses</name>
    <message>
        <source>Show the case again.</source>
        <translation>Zeigen Sie den Fall noch einmal.</translation>
    </message>
</context>
<context>
    <name>mrml_bridge.voxel_memory</name>
    <message>
        <source>Show the case again.</source>
        <translation>Zeigen Sie den Fall noch einmal.</translation>
    </message>
</context>
<context>
    <name>presenter.core</name>
    <message>
        <source>Check the cases</source>
        <translation>Fälle prüfen</translation>
    </message>
    <message>
        <source>Check this computer again</source>
        <translation>Computer noch einmal prüfen</translation>
    </message>
    <message>
        <source>Continue</source>
        <translation>Weiter</translation>
    </message>
    <message>
        <source>Continue on the CPU</source>
        <translation>Auf der CPU weiter</translation>
    </message>
    <message>
        <source>Everything the panel showed as saved is saved.</source>
        <translation>Alles, was als gespeichert gezeigt wurde, ist gespeichert.</translation>
    </message>
    <message>
        <source>Install the packages</source>
        <translation>Pakete installieren</translation>
    </message>
    <message>
        <source>Open again</source>
        <translation>Wieder öffnen</translation>
    </message>
    <message>
        <source>Show the folder</source>
        <translation>Ordner zeigen</translation>
    </message>
    <message>
        <source>{text}: {done} of {total}</source>
        <translation>{text}: {done} von {total}</translation>
    </message>
    <message>
        <source>{what} It has been restarted, and the project is being reopened.</source>
        <translation>{what} Er wurde neu gestartet, und das Projekt wird wieder geöffnet.</translation>
    </message>
</context>
<context>
    <name>presenter.faults</name>
    <message>
        <source>Check the cases, and choose the answers below their table.</source>
        <translation>Prüfen Sie die Fälle und wählen Sie die Antworten unter ihrer Tabelle.</translation>
    </message>
    <message>
        <source>Everything up to the last checkpoint is kept.</source>
        <translation>Alles bis zum letzten Zwischenstand bleibt erhalten.</translation>
    </message>
    <message>
        <source>Some questions about the cases must be answered before training.</source>
        <translation>Vor dem Training müssen einige Fragen zu den Fällen beantwortet werden.</translation>
    </message>
</context>
<context>
    <name>presenter.leaving</name>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Changes nothing.</source>
        <translation>Ändert nichts.</translation>
    </message>
    <message>
        <source>Discard my changes</source>
        <translation>Änderungen verwerfen</translation>
    </message>
    <message>
        <source>Discards your changes and continues.</source>
        <translation>Verwirft Ihre Änderungen und fährt fort.</translation>
    </message>
    <message>
        <source>Save as correction</source>
        <translation>Als Korrektur speichern</translation>
    </message>
    <message>
        <source>Saves your changes as a correction and continues.</source>
        <translation>Speichert Ihre Änderungen als Korrektur und fährt fort.</translation>
    </message>
    <message>
        <source>What do you want to do with them?</source>
        <translation>Was soll mit ihnen geschehen?</translation>
    </message>
    <message>
        <source>Your changes are lost.</source>
        <translation>Ihre Änderungen gehen verloren.</translation>
    </message>
    <message>
        <source>Your changes to the proposal for '{case}' are not saved.</source>
        <translation>Ihre Änderungen am Vorschlag für „{case}“ sind nicht gespeichert.</translation>
    </message>
</context>
<context>
    <name>presenter.presenter</name>
    <message>
        <source>Continue round {index}</source>
        <translation>Runde {index} fortsetzen</translation>
    </message>
    <message>
        <source>Review</source>
        <translation>Review</translation>
    </message>
</context>
<context>
    <name>presenter.reasons</name>
    <message>
        <source>A round is being trained.</source>
        <translation>Eine Runde wird trainiert.</translation>
    </message>
    <message>
        <source>A round is being trained; you can review its proposals as soon as the first one is there.</source>
        <translation>Eine Runde wird trainiert; Sie können ihre Vorschläge beurteilen, sobald der erste da ist.</translation>
    </message>
    <message>
        <source>Add volumes and segment at least one first.</source>
        <translation>Fügen Sie zuerst Volumen hinzu und segmentieren Sie mindestens eines.</translation>
    </message>
    <message>
        <source>Add volumes first.</source>
        <translation>Fügen Sie zuerst Volumen hinzu.</translation>
    </message>
    <message>
        <source>Answer the question first.</source>
        <translation>Beantworten Sie zuerst die Frage.</translation>
    </message>
    <message>
        <source>Choose a case from the list first.</source>
        <translation>Wählen Sie zuerst einen Fall aus der Liste.</translation>
    </message>
    <message>
        <source>Create or open a project first.</source>
        <translation>Legen Sie zuerst ein Projekt an, oder öffnen Sie eines.</translation>
    </message>
    <message>
        <source>Install the missing packages first.</source>
        <translation>Installieren Sie zuerst die fehlenden Pakete.</translation>
    </message>
    <message>
        <source>No round has been trained yet.</source>
        <translation>Noch keine Runde ist trainiert.</translation>
    </message>
    <message>
        <source>Nothing is being trained.</source>
        <translation>Nichts wird trainiert.</translation>
    </message>
    <message>
        <source>Pause the training first.</source>
        <translation>Pausieren Sie zuerst das Training.</translation>
    </message>
    <message>
        <source>Round {index} is still making proposals; the next one can begin once all are there.</source>
        <translation>Runde {index} macht noch Vorschläge; die nächste kann beginnen, sobald alle da sind.</translation>
    </message>
    <message>
        <source>Segment at least one volume first.</source>
        <translation>Segmentieren Sie zuerst mindestens ein Volumen.</translation>
    </message>
    <message>
        <source>The case is being loaded.</source>
        <translation>Der Fall wird geladen.</translation>
    </message>
    <message>
        <source>The project is being opened.</source>
        <translation>Das Projekt wird geöffnet.</translation>
    </message>
    <message>
        <source>The round has made no proposal yet; continue it first.</source>
        <translation>Die Runde hat noch keinen Vorschlag gemacht; setzen Sie sie zuerst fort.</translation>
    </message>
    <message>
        <source>The verdict is being saved.</source>
        <translation>Das Urteil wird gespeichert.</translation>
    </message>
    <message>
        <source>There is a newer proposal for this case: show the case again.</source>
        <translation>Für diesen Fall gibt es einen neueren Vorschlag: Zeigen Sie ihn noch einmal.</translation>
    </message>
    <message>
        <source>This computer cannot train yet.</source>
        <translation>Dieser Computer kann noch nicht trainieren.</translation>
    </message>
    <message>
        <source>Train a round first; you review its proposals here.</source>
        <translation>Trainieren Sie zuerst eine Runde; hier beurteilen Sie ihre Vorschläge.</translation>
    </message>
</context>
<context>
    <name>presenter.show_steps</name>
    <message>
        <source>1 annotated</source>
        <translation>1 annotiert</translation>
    </message>
    <message>
        <source>1 unlabelled</source>
        <translation>1 unmarkiert</translation>
    </message>
    <message>
        <source>Add volumes</source>
        <translation>Volumen hinzufügen</translation>
    </message>
    <message>
        <source>Cases</source>
        <translation>Fälle</translation>
    </message>
    <message>
        <source>Check the cases</source>
        <translation>Fälle prüfen</translation>
    </message>
    <message>
        <source>Continue round {index}</source>
        <translation>Runde {index} fortsetzen</translation>
    </message>
    <message>
        <source>Create or open a project</source>
        <translation>Projekt anlegen oder öffnen</translation>
    </message>
    <message>
        <source>Install the missing packages</source>
        <translation>Fehlende Pakete installieren</translation>
    </message>
    <message>
        <source>Loading '{case}'</source>
        <translation>Lade „{case}“</translation>
    </message>
    <message>
        <source>No project is open</source>
        <translation>Kein Projekt geöffnet</translation>
    </message>
    <message>
        <source>No round trained yet</source>
        <translation>Noch keine Runde trainiert</translation>
    </message>
    <message>
        <source>No volumes yet</source>
        <translation>Noch keine Volumen</translation>
    </message>
    <message>
        <source>Nothing to review now</source>
        <translation>Jetzt nichts zu beurteilen</translation>
    </message>
    <message>
        <source>Review</source>
        <translation>Review</translation>
    </message>
    <message>
        <source>Review 1 proposal</source>
        <translation>1 Vorschlag beurteilen</translation>
    </message>
    <message>
        <source>Review {count} proposals</source>
        <translation>{count} Vorschläge beurteilen</translation>
    </message>
    <message>
        <source>Round {n} trained</source>
        <translation>Runde {n} trainiert</translation>
    </message>
    <message>
        <source>Saving the verdict</source>
        <translation>Das Urteil wird gespeichert</translation>
    </message>
    <message>
        <source>Segment a volume</source>
        <translation>Ein Volumen segmentieren</translation>
    </message>
    <message>
        <source>The project is being opened.</source>
        <translation>Das Projekt wird geöffnet.</translation>
    </message>
    <message>
        <source>Train</source>
        <translation>Training</translation>
    </message>
    <message>
        <source>Train round {index}</source>
        <translation>Runde {index} trainieren</translation>
    </message>
    <message>
        <source>Training round {n}</source>
        <translation>Runde {n} wird trainiert</translation>
    </message>
    <message>
        <source>Use and export</source>
        <translation>Verwenden und exportieren</translation>
    </message>
    <message>
        <source>{count} annotated</source>
        <translation>{count} annotiert</translation>
    </message>
    <message>
        <source>{count} unlabelled</source>
        <translation>{count} unmarkiert</translation>
    </message>
    <message>
        <source>{done} of {total} reviewed</source>
        <translation>{done} von {total} beurteilt</translation>
    </message>
    <message>
        <source>{done} of {total} reviewed so far</source>
        <translation>bisher {done} von {total} beurteilt</translation>
    </message>
</context>
<context>
    <name>presenter.words</name>
    <message>
        <source>about {hours} h {minutes} min</source>
        <translation>etwa {hours} h {minutes} min</translation>
    </message>
    <message>
        <source>about {minutes} min</source>
        <translation>etwa {minutes} min</translation>
    </message>
    <message>
        <source>accepted</source>
        <translation>angenommen</translation>
    </message>
    <message>
        <source>accepted in round {index}</source>
        <translation>in Runde {index} angenommen</translation>
    </message>
    <message>
        <source>annotated</source>
        <translation>annotiert</translation>
    </message>
    <message>
        <source>being trained</source>
        <translation>wird trainiert</translation>
    </message>
    <message>
        <source>corrected</source>
        <translation>korrigiert</translation>
    </message>
    <message>
        <source>corrected in round {index}</source>
        <translation>in Runde {index} korrigiert</translation>
    </message>
    <message>
        <source>done</source>
        <translation>fertig</translation>
    </message>
    <message>
        <source>ignored</source>
        <translation>ignoriert</translation>
    </message>
    <message>
        <source>in review</source>
        <translation>im Review</translation>
    </message>
    <message>
        <source>less than a minute</source>
        <translation>weniger als eine Minute</translation>
    </message>
    <message>
        <source>making proposals</source>
        <translation>macht Vorschläge</translation>
    </message>
    <message>
        <source>not segmented yet</source>
        <translation>noch nicht segmentiert</translation>
    </message>
    <message>
        <source>partly reviewed</source>
        <translation>teilweise beurteilt</translation>
    </message>
    <message>
        <source>rejected</source>
        <translation>abgelehnt</translation>
    </message>
    <message>
        <source>rejected in round {index}</source>
        <translation>in Runde {index} abgelehnt</translation>
    </message>
    <message>
        <source>to review</source>
        <translation>zu beurteilen</translation>
    </message>
    <message>
        <source>unlabelled</source>
        <translation>unmarkiert</translation>
    </message>
    <message>
        <source>validation</source>
        <translation>Validierung</translation>
    </message>
    <message>
        <source>{time} left</source>
        <translation>noch {time}</translation>
    </message>
</context>
<context>
    <name>project.head</name>
    <message>
        <source>Next: {what}</source>
        <translation>Als Nächstes: {what}</translation>
    </message>
    <message>
        <source>No project is open</source>
        <translation>Kein Projekt geöffnet</translation>
    </message>
    <message>
        <source>Now: {what}</source>
        <translation>Jetzt: {what}</translation>
    </message>
    <message>
        <source>This computer: {sentence}</source>
        <translation>Dieser Computer: {sentence}</translation>
    </message>
</context>
<context>
    <name>project.project</name>
    <message>
        <source>Show the folder</source>
        <translation>Ordner zeigen</translation>
    </message>
</context>
<context>
    <name>project.project_actions</name>
    <message>
        <source>Open again</source>
        <translation>Wieder öffnen</translation>
    </message>
</context>
<context>
    <name>project.question_lines</name>
    <message>
        <source>Answer</source>
        <translation>Antworten</translation>
    </message>
    <message>
        <source>Saves the selected answer</source>
        <translation>Speichert die gewählte Antwort</translation>
    </message>
</context>
<context>
    <name>project.show_project</name>
    <message>
        <source>No project is open.</source>
        <translation>Kein Projekt ist geöffnet.</translation>
    </message>
</context>
<context>
    <name>project.steps</name>
    <message>
        <source>Cases</source>
        <translation>Fälle</translation>
    </message>
    <message>
        <source>Review</source>
        <translation>Review</translation>
    </message>
    <message>
        <source>Train</source>
        <translation>Training</translation>
    </message>
    <message>
        <source>Use</source>
        <translation>Verwenden</translation>
    </message>
</context>
<context>
    <name>review.case_queue</name>
    <message>
        <source>All proposals of this round have been reviewed.</source>
        <translation>Alle Vorschläge dieser Runde sind beurteilt.</translation>
    </message>
    <message>
        <source>Continue the round to get the other proposals.</source>
        <translation>Setzen Sie die Runde fort, um die anderen Vorschläge zu bekommen.</translation>
    </message>
    <message>
        <source>The other proposals come into the list as they are made.</source>
        <translation>Die anderen Vorschläge kommen in die Liste, sobald sie gemacht sind.</translation>
    </message>
    <message>
        <source>You have reviewed what is there.</source>
        <translation>Sie haben alles beurteilt, was da ist.</translation>
    </message>
</context>
<context>
    <name>review.review</name>
    <message>
        <source>Accept selected</source>
        <translation>Ausgewählte annehmen</translation>
    </message>
    <message>
        <source>Loading {case}...</source>
        <translation>Lade {case}...</translation>
    </message>
    <message>
        <source>Reject selected</source>
        <translation>Ausgewählte ablehnen</translation>
    </message>
    <message>
        <source>Show</source>
        <translation>Zeigen</translation>
    </message>
    <message>
        <source>Show a case first</source>
        <translation>Zeigen Sie zuerst einen Fall</translation>
    </message>
</context>
<context>
    <name>review.review_actions</name>
    <message>
        <source>1 proposal accepted</source>
        <translation>1 Vorschlag angenommen</translation>
    </message>
    <message>
        <source>1 proposal rejected</source>
        <translation>1 Vorschlag abgelehnt</translation>
    </message>
    <message>
        <source>Accept all {count}</source>
        <translation>Alle {count} annehmen</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Changes nothing.</source>
        <translation>Ändert nichts.</translation>
    </message>
    <message>
        <source>Nothing is accepted.</source>
        <translation>Nichts wird angenommen.</translation>
    </message>
    <message>
        <source>Reject and discard my changes</source>
        <translation>Ablehnen und Änderungen verwerfen</translation>
    </message>
    <message>
        <source>Reject but keep my changes</source>
        <translation>Ablehnen, Änderungen behalten</translation>
    </message>
    <message>
        <source>You changed the proposal for '{case}'. Rejecting it will not use your changes.</source>
        <translation>Sie haben den Vorschlag für „{case}“ geändert. Beim Ablehnen werden Ihre Änderungen nicht verwendet.</translation>
    </message>
    <message>
        <source>Your changes are lost.</source>
        <translation>Ihre Änderungen gehen verloren.</translation>
    </message>
    <message>
        <source>{count} proposals accepted</source>
        <translation>{count} Vorschläge angenommen</translation>
    </message>
    <message>
        <source>{count} proposals rejected</source>
        <translation>{count} Vorschläge abgelehnt</translation>
    </message>
</context>
<context>
    <name>review.show_review</name>
    <message>
        <source>Accept</source>
        <translation>Annehmen</translation>
    </message>
    <message>
        <source>Accepts the proposal as shown and confirms all of it.</source>
        <translation>Nimmt den Vorschlag an, wie er gezeigt wird, und bestätigt ihn ganz.</translation>
    </message>
    <message>
        <source>Choose a case first.</source>
        <translation>Wählen Sie zuerst einen Fall.</translation>
    </message>
    <message>
        <source>Jumps to the next doubtful slice.</source>
        <translation>Springt zur nächsten zweifelhaften Schicht.</translation>
    </message>
    <message>
        <source>Leaves this proposal out of the next round.</source>
        <translation>Lässt diesen Vorschlag in der nächsten Runde weg.</translation>
    </message>
    <message>
        <source>Save correction</source>
        <translation>Korrektur speichern</translation>
    </message>
    <message>
        <source>Saves the segmentation as shown. Confirmed by it: {extent}.</source>
        <translation>Speichert die Segmentierung, wie sie gezeigt wird. Bestätigt wird: {extent}.</translation>
    </message>
    <message>
        <source>Shows the next case.</source>
        <translation>Zeigt den nächsten Fall.</translation>
    </message>
    <message>
        <source>Shows the previous case.</source>
        <translation>Zeigt den vorigen Fall.</translation>
    </message>
    <message>
        <source>There is no verdict to take back.</source>
        <translation>Es gibt kein Urteil zurückzunehmen.</translation>
    </message>
    <message>
        <source>This is the first case in the list.</source>
        <translation>Das ist der erste Fall der Liste.</translation>
    </message>
    <message>
        <source>This is the last case in the list.</source>
        <translation>Das ist der letzte Fall der Liste.</translation>
    </message>
    <message>
        <source>Undoes the verdict on this case.</source>
        <translation>Nimmt das Urteil über diesen Fall zurück.</translation>
    </message>
    <message>
        <source>all {count} slices</source>
        <translation>alle {count} Schichten</translation>
    </message>
    <message>
        <source>only the voxels that I changed and 3 mm around them</source>
        <translation>nur die Voxel, die ich geändert habe, und 3 mm darum</translation>
    </message>
    <message>
        <source>the slice that I changed ({axis} = {number})</source>
        <translation>die Schicht, die ich geändert habe ({axis} = {number})</translation>
    </message>
    <message>
        <source>the slices that I changed</source>
        <translation>die Schichten, die ich geändert habe</translation>
    </message>
    <message>
        <source>the {count} slices that I changed ({axis} = {first} to {last})</source>
        <translation>die {count} Schichten, die ich geändert habe ({axis} = {first} bis {last})</translation>
    </message>
    <message>
        <source>{done} of {total} reviewed</source>
        <translation>{done} von {total} beurteilt</translation>
    </message>
</context>
<context>
    <name>train.show_training</name>
    <message>
        <source>Start from a model...</source>
        <translation>Mit einem Modell beginnen...</translation>
    </message>
    <message>
        <source>Start without the model</source>
        <translation>Ohne das Modell beginnen</translation>
    </message>
    <message>
        <source>1 case</source>
        <translation>1 Fall</translation>
    </message>
    <message>
        <source>Continue round {index}</source>
        <translation>Runde {index} fortsetzen</translation>
    </message>
    <message>
        <source>It will take {time} on this computer.</source>
        <translation>Auf diesem Computer dauert es {time}.</translation>
    </message>
    <message>
        <source>It will take {time}, judging by earlier rounds.</source>
        <translation>Nach früheren Runden dauert es {time}.</translation>
    </message>
    <message>
        <source>No round has been trained yet.</source>
        <translation>Noch keine Runde ist trainiert.</translation>
    </message>
    <message>
        <source>Pre-training...</source>
        <translation>Vortraining...</translation>
    </message>
    <message>
        <source>Preparing</source>
        <translation>Vorbereitung</translation>
    </message>
    <message>
        <source>Saves and stops; training can be continued from there later.</source>
        <translation>Speichert und hält an; das Training kann dort später weitergehen.</translation>
    </message>
    <message>
        <source>Saving</source>
        <translation>Speichern</translation>
    </message>
    <message>
        <source>Starting: loading packages</source>
        <translation>Start: Pakete werden geladen</translation>
    </message>
    <message>
        <source>Train</source>
        <translation>Trainieren</translation>
    </message>
    <message>
        <source>Train round {index}</source>
        <translation>Runde {index} trainieren</translation>
    </message>
    <message>
        <source>Training round {index}...</source>
        <translation>Runde {index} wird trainiert...</translation>
    </message>
    <message>
        <source>Your verdict on a proposal of this round goes with it.</source>
        <translation>Ihr Urteil über einen Vorschlag dieser Runde geht mit ihr.</translation>
    </message>
    <message>
        <source>Your {count} verdicts on the proposals of this round go with it.</source>
        <translation>Ihre {count} Urteile über die Vorschläge dieser Runde gehen mit ihr.</translation>
    </message>
    <message>
        <source>{count} cases</source>
        <translation>{count} Fälle</translation>
    </message>
    <message>
        <source>{human} human, {pseudo} pseudo-labels, {left} left out</source>
        <translation>{human} von Hand, {pseudo} Pseudo-Labels, {left} weggelassen</translation>
    </message>
</context>
<context>
    <name>train.training</name>
    <message>
        <source>Create or open a project first.</source>
        <translation>Legen Sie zuerst ein Projekt an, oder öffnen Sie eines.</translation>
    </message>
    <message>
        <source>Pause the training first.</source>
        <translation>Pausieren Sie zuerst das Training.</translation>
    </message>
</context>
<context>
    <name>train.training_actions</name>
    <message>
        <source>All are there now, and the rest is ordered by doubt.</source>
        <translation>Jetzt sind alle da, und der Rest ist nach Zweifel geordnet.</translation>
    </message>
    <message>
        <source>Continue</source>
        <translation>Weiter</translation>
    </message>
    <message>
        <source>Review</source>
        <translation>Review</translation>
    </message>
    <message>
        <source>The next one waits until you have reviewed.</source>
        <translation>Die nächste wartet, bis Sie beurteilt haben.</translation>
    </message>
</context>
<context>
    <name>use.export_actions</name>
    <message>
        <source>Show the folder</source>
        <translation>Ordner zeigen</translation>
    </message>
</context>
<context>
    <name>use.show_use</name>
    <message>
        <source>Needs {channels} of each patient.</source>
        <translation>Braucht {channels} von jedem Patienten.</translation>
    </message>
</context>
</TS>
