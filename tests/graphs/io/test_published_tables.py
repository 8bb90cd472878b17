"""Tables with the column names of published connectomes, made up and small."""

import gzip

import pytest

import graphs

MORE = pytest.mark.filterwarnings("ignore::graphs.LeftOutWarning")
A, B, C = "720575940596125868", "720575940597856265", "720575940599333574"
CODEX = f"""pre_root_id,post_root_id,neuropil,syn_count,nt_type
{A},{B},AL_L,5,ACH
{A},{B},LH_L,3,GABA
{B},{C},AL_L,7,GLUT
{C},{A},ME_R,2,
"""
CODEX_NEURONS = f"""root_id,group,nt_type,nt_type_score
{C},LO.ME,GABA,0.9
{A},AL.LH,ACH,0.6
{B},AL.LH,GLUT,0.7
"""


@pytest.fixture
def write(tmp_path):
    def written(name, text):
        path = tmp_path / name
        raw = text.encode()
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return path

    return written


def test_codex_as_downloaded(write):
    """Rows per region are added up, and neurons' transmitters go before those of their rows."""
    neurons = write("neurons.csv.gz", CODEX_NEURONS)
    with pytest.warns(graphs.LeftOutWarning) as warned:
        data = graphs.load(write("connections.csv.gz", CODEX), neurons=neurons, duplicates="sum")
    told = [str(each.message) for each in warned]
    assert any("unknown) for the transmitters 'GLUT' (1 rows)" in each for each in told)
    assert any(
        f"1 of 4 rows of synapses have another sign than their source has in the table of neurons, "
        f"for example '{A}' in row 2; the sign of the neuron is used" in each
        for each in told
    )
    assert not any("neuropil" in each for each in told)
    assert data.names == [C, A, B]
    assert data.edge_index.tolist() == [[2, 0, 1], [0, 1, 2]]
    assert data.edge_weight.tolist() == [7.0, 2.0, 8.0]
    assert data.node_sign.tolist() == [-1, 1, 0]
    assert data.edge_sign.tolist() == [0, -1, 1]


@MORE
def test_codex_per_region(write):
    path = write("connections.csv.gz", CODEX)
    with pytest.raises(ValueError, match=r"duplicates='sum' .* columns={'type': 'neuropil'}"):
        graphs.load(path)
    with pytest.raises(ValueError, match=r"one sign, got .* pass neurons= with a table that has"):
        graphs.load(path, duplicates="sum")
    data = graphs.load(path, columns={"type": "neuropil"})
    assert data.edge_type_names == ["AL_L", "LH_L", "ME_R"]
    assert data.edge_sign.tolist() == [0, 1, -1, 0]


@MORE
def test_codex_cell_types(write):
    table = write(
        "types.csv.gz", f"root_id,primary_type,additional_type(s)\n{A},K,\n{B},L,\n{C},K,\n"
    )
    data = graphs.load(
        write("a.csv.gz", CODEX), neurons=table, duplicates="sum", columns={"transmitter": None}
    )
    assert data.node_type_names == ["K", "L"]
    assert data.node_type.tolist() == [0, 1, 0]


@MORE
@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("bodyId_pre,bodyId_post,weight", f"{A},{B},4"),
        ("bodyId_pre,bodyId_post,roi,weight", f"{A},{B},AL(R),4"),
        ("body_pre,body_post,weight", f"{A},{B},4"),
        ("pre_pt_root_id,post_pt_root_id,n_syn", f"{A},{B},4"),
        ("pre_root_id,post_root_id,neuropil,syn_count,nt_type", f"{A},{B},AL_L,4,ACH"),
    ],
)
def test_tables_of_ids(write, header, row):
    data = graphs.load(write("a.csv", f"{header}\n{row}\n"))
    assert data.names == [A, B]
    assert data.edge_index.tolist() == [[0], [1]]
    assert data.edge_weight.tolist() == [4.0]


@MORE
def test_c302(write):
    text = (
        "Origin\tTarget\tType\tNumber of Connections\tNeurotransmitter\n"
        "ADAL\tADAR\tGapJunction\t1\tGeneric_GJ\nADAL\tAIBL\tSend\t2\tGlutamate\n"
        "AVAL\tADAL\tSend\t3\tAcetylcholine\n"
    )
    data = graphs.load(write("c302.tsv", text))
    assert data.names == ["ADAL", "ADAR", "AIBL", "AVAL"]
    assert data.edge_weight.tolist() == [3.0, 1.0, 2.0]
    assert data.edge_type_names == ["GapJunction", "Send"]
    assert data.edge_sign.tolist() == [1, 0, 0]


def test_varshney_lists_chemical_synapses_from_both_sides(write):
    text = (
        "Neuron 1,Neuron 2,Type,Nbr\nADAR,ADAL,EJ,1\nADAL,ADAR,EJ,1\nADFL,ADAL,S,1\n"
        "ADAL,ADFL,R,1\nADAL,AIBL,Sp,2\nAIBL,ADAL,Rp,2\n"
    )
    path = write("NeuronConnect.csv", text)
    with pytest.warns(graphs.LeftOutWarning, match="2 rows of the types 'R' and 'Rp' are left out"):
        data = graphs.load(path)
    assert data.names == ["ADAL", "ADAR", "ADFL", "AIBL"]
    assert data.edge_index.tolist() == [[1, 2, 0, 0], [0, 0, 1, 3]]
    assert data.edge_type_names == ["EJ", "S", "Sp"]
    assert data.edge_type.tolist() == [0, 1, 0, 2]
    assert data.edge_weight.tolist() == [1.0, 1.0, 1.0, 2.0]


def test_winding_is_a_matrix_with_labels_on_both_sides(write):
    text = ",16339338,8877158,7055857\n8877158,0,0,2\n16339338,1.0,0,0\n7055857,0,5,0\n"
    data = graphs.load(write("all-all_connectivity_matrix.csv", text))
    assert data.names == ["8877158", "16339338", "7055857"]
    assert data.edge_index.tolist() == [[2, 1, 0], [0, 1, 2]]
    assert data.edge_weight.tolist() == [5.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (",a,b\na,0,1\nc,1,0\n", r"'c' and 0 more in the rows only and 'b' and 0 more in the col"),
        (
            ",a,b\na,0,1\n",
            r"'b' and 0 more in the columns only; .*frame.reindex\(index=lab",
        ),
        (",a,b\na,0,1\na,1,0\n", "different labels for its rows, got 'a' twice"),
        (",a,b\na,0,nan\nb,1,0\n", "finite numbers, 0 for no synapse, got 'nan' in row 1, column"),
        (",a,b\na,0,\nb,1,0\n", "no synapse, got '' in row 1, column 'b' .*as frame.fillna"),
        (",b,c,c,b\nb,0,1,0,0\n", "different labels for its columns, got 'b' twice"),
        (
            ",720575940596125868.0,5\n720575940596125868.0,0,1\n5,1,0\n",
            "names of neurons in its header, got '720575940596125868.0'; it is a number that a da",
        ),
        (
            ",720575940596125868,5\n5,0,1\n720575940596125868.0,1,0\n",
            "row with the name .* got '720575940596125868.0' in row 2; it is a number that a data",
        ),
        (",a,b\na,0,1\nb,1\n", "3 values in each row, as its header has, got 2 in row 2"),
    ],
)
def test_matrices_that_are_refused(write, text, match):
    with pytest.raises(ValueError, match=match):
        graphs.load(write("a.csv", text))


def test_the_way_where_labels_disagree(write):
    import pandas as pd

    path = write("a.csv", ",a,b\na,0,1\nc,2,0\n")
    frame = pd.read_csv(path, index_col=0, dtype={0: str})
    labels = frame.index.union(frame.columns)
    data = graphs.from_numpy(frame.reindex(index=labels, columns=labels, fill_value=0))
    assert data.names == ["a", "b", "c"]
    assert data.edge_index.tolist() == [[2, 0], [0, 1]]
    assert data.edge_weight.tolist() == [2.0, 1.0]


def test_a_matrix_without_labels_of_rows(write):
    import pandas as pd

    path = write("a.csv", "a,b,c\n0,1,0\n0,0,2\n3,0,0\n")
    with pytest.raises(ValueError, match="looks like an adjacency matrix .* 3 rows of 3 numbers"):
        graphs.load(path)
    frame = pd.read_csv(path)
    data = graphs.from_numpy(frame.set_axis(frame.columns))
    assert data.names == ["a", "b", "c"]
    assert data.edge_index.tolist() == [[2, 0, 1], [0, 1, 2]]
    assert data.edge_weight.tolist() == [3.0, 1.0, 2.0]
    assert graphs.load(path, columns={"source": "a", "target": "b", "weight": "c"}).num_edges == 3
    with pytest.raises(ValueError, match="must have a column 'source' and a column 'target'"):
        graphs.load(write("a.csv", "a,b,c\n0,1,0\n0,0,2\n"))


def test_a_matrix_without_any_labels(write):
    text = "0,1,0,0\n0,0,2,0\n3,0,0,0\n0,0,0,4\n"
    with pytest.raises(ValueError, match="load a copy that ends in .txt if it is an adjacency"):
        graphs.load(write("a.csv", text))
    assert graphs.load(write("a.txt", text)).edge_weight.tolist() == [3.0, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("role", ["source", "weight"])
def test_a_chosen_column_that_does_not_exist(write, role):
    path = write("a.csv", "source,target\na,b\n")
    match = f"must have the column 'nope' for the {role}, got 'source', 'target'; pass columns="
    with pytest.raises(ValueError, match=match):
        graphs.load(path, columns={role: "nope"})


def test_a_matrix_with_a_table_of_neurons(write):
    table = write("n.csv", "name,class\na,K\nb,L\nc,K\n")
    data = graphs.load(write("a.csv", ",b,a\na,1,0\nb,0,3\n"), neurons=table)
    assert data.num_nodes == 3
    assert data.node_type_names == ["K", "L"]
    assert data.edge_index.tolist() == [[1, 0], [0, 1]]


@MORE
def test_all_problems_of_a_file_at_once(write):
    text = "pre,post,weight\na,b,x\n,c,1\na,nan,heavy\nb,,2\n"
    with pytest.raises(ValueError, match="3 things are wrong") as caught:
        graphs.load(write("a.csv", text))
    told = str(caught.value)
    assert "(1) the source of the edge list must be the name of a neuron, got '' in row 2; " in told
    assert (
        "(2) the target of the edge list must be the name of a neuron, got 'nan' in row 3 " in told
    )
    assert "(and 1 more row)" in told
    assert "(3) the weight of the edge list must be a number, got 'x' in row 1 (and 1 more" in told


def test_both_missing_columns_and_ambiguous_ones_at_once(write):
    with pytest.raises(ValueError, match="a column 'source' and a column 'target', got 'a', 'b'"):
        graphs.load(write("a.csv", "a,b\n1,2\n"))
    with pytest.raises(ValueError, match="2 things are wrong: .*for the source.*for the weight"):
        graphs.load(write("b.csv", "pre,src,post,count,synapses\na,b,c,1,2\n"))


def test_positions_of_columns_in_tables_without_a_header(write):
    path = write("a.csv", "7,x,12\n9,y,7\n")
    data = graphs.load(path, columns={"source": 0, "target": 2, "type": 1})
    assert data.names == ["7", "9", "12"]
    assert data.edge_index.tolist() == [[1, 0], [0, 2]]
    assert data.edge_type_names == ["x", "y"]


@pytest.mark.parametrize("name", ["GLUT", "glut", "glutamate", "Glutamate"])
def test_transmitters_have_the_names_of_codex_too(write, name):
    text = f"pre_root_id,post_root_id,syn_count,nt_type\n{A},{B},7,GLUT\n{B},{A},2,ACH\n"
    data = graphs.load(write("connections.csv", text), transmitter_signs={name: -1})
    assert sorted(data.edge_sign.tolist()) == [-1, 1]
    assert sorted(graphs.signed_weights(data).tolist()) == [-7, 2]
